#include "api/rate_limiter.h"

#include <gtest/gtest.h>

namespace colloquy::api {
namespace {

const UserId kAlice("alice");
const UserId kBob("bob");

TEST(RateLimiter, AllowsTheLimitAtOnceAndThenAsManyAsTheMinuteGivesBack) {
  ManualClock clock(1'000'000);
  RateLimiter limiter(clock, 60);
  for (int i = 0; i < 60; ++i) ASSERT_TRUE(limiter.take(kAlice, 1)->allowed);
  auto refused = limiter.take(kAlice, 1);
  EXPECT_FALSE(refused->allowed);
  EXPECT_EQ(refused->remaining, 0);
  EXPECT_EQ(refused->reset_s, 1);
  clock.advance_ms(1000);
  EXPECT_TRUE(limiter.take(kAlice, 1)->allowed);
  EXPECT_FALSE(limiter.take(kAlice, 1)->allowed);
}

TEST(RateLimiter, OneUserDoesNotUseUpAnothersLimit) {
  ManualClock clock(0);
  RateLimiter limiter(clock, 1);
  EXPECT_TRUE(limiter.take(kAlice, 1)->allowed);
  EXPECT_FALSE(limiter.take(kAlice, 1)->allowed);
  EXPECT_TRUE(limiter.take(kBob, 1)->allowed);
}

TEST(RateLimiter, WhatIsChargedAfterwardsIsADebtThatMustBePaidFirst) {
  ManualClock clock(0);
  RateLimiter limiter(clock, 60);
  EXPECT_TRUE(limiter.take(kAlice, 0)->allowed);
  limiter.charge(kAlice, 180);
  EXPECT_FALSE(limiter.take(kAlice, 0)->allowed);
  clock.advance_ms(120'000);
  EXPECT_FALSE(limiter.take(kAlice, 0)->allowed);
  clock.advance_ms(1'000);
  EXPECT_TRUE(limiter.take(kAlice, 0)->allowed);
}

TEST(RateLimiter, ZeroIsNoLimit) {
  ManualClock clock(0);
  RateLimiter limiter(clock, 0);
  limiter.charge(kAlice, 1e9);
  EXPECT_FALSE(limiter.take(kAlice, 1).has_value());
}

TEST(RateLimiter, AClockThatGoesBackTakesNothingAway) {
  ManualClock clock(100'000);
  RateLimiter limiter(clock, 2);
  EXPECT_TRUE(limiter.take(kAlice, 1)->allowed);
  clock.set_ms(0);
  EXPECT_TRUE(limiter.take(kAlice, 1)->allowed);
  EXPECT_FALSE(limiter.take(kAlice, 1)->allowed);
}

}  // namespace
}  // namespace colloquy::api
