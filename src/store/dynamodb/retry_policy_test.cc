#include "store/dynamodb/retry_policy.h"

#include <gtest/gtest.h>

#include <set>

namespace colloquy::store::dynamodb {
namespace {

using std::chrono::milliseconds;

TEST(RetryPolicyTest, ACallHasItsAttemptsAndNoMore) {
  RetryOptions options;
  options.attempts = 3;
  RetryPolicy policy(options, 1);
  EXPECT_TRUE(policy.may_repeat(2, false));
  EXPECT_TRUE(policy.may_repeat(3, false));
  EXPECT_FALSE(policy.may_repeat(4, false));
}

TEST(RetryPolicyTest, TheBudgetIsSharedAndATimeoutCostsMore) {
  RetryOptions options;
  options.budget = 20;
  RetryPolicy policy(options, 1);
  EXPECT_TRUE(policy.may_repeat(2, true));
  EXPECT_TRUE(policy.may_repeat(2, false));
  EXPECT_FALSE(policy.may_repeat(2, true));
  EXPECT_TRUE(policy.may_repeat(2, false));
  EXPECT_FALSE(policy.may_repeat(2, false));
}

TEST(RetryPolicyTest, CallsThatGoWellFillTheBudgetToItsBrim) {
  RetryOptions options;
  options.budget = 10;
  RetryPolicy policy(options, 1);
  for (int i = 0; i < 1000; ++i) policy.reward();
  EXPECT_TRUE(policy.may_repeat(2, false));
  EXPECT_TRUE(policy.may_repeat(2, false));
  EXPECT_FALSE(policy.may_repeat(2, false));
  for (int i = 0; i < options.repeat_cost; ++i) policy.reward();
  EXPECT_TRUE(policy.may_repeat(2, false));
}

TEST(RetryPolicyTest, TheDelayIsAnythingUpToABoundThatDoubles) {
  RetryOptions options;
  RetryPolicy policy(options, 7);
  auto bound = options.base;
  for (int attempt = 2; attempt < 12; ++attempt) {
    std::set<milliseconds> seen;
    for (int i = 0; i < 500; ++i) seen.insert(policy.delay_before(attempt));
    EXPECT_GE(*seen.begin(), milliseconds(0));
    EXPECT_LE(*seen.rbegin(), bound);
    EXPECT_LT(*seen.begin(), bound / 5) << "full jitter";
    EXPECT_GT(*seen.rbegin(), bound * 4 / 5);
    bound = std::min(bound * 2, options.cap);
  }
  EXPECT_LE(policy.delay_before(1'000'000), options.cap);
}

}  // namespace
}  // namespace colloquy::store::dynamodb
