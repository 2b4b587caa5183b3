#include "chat/token_count.h"

#include <gtest/gtest.h>

#include "base/limits.h"
#include "llm/demo/demo_provider.h"
#include "llm/token_estimate.h"

namespace colloquy::chat {
namespace {

using limits::kKiB;

// Counts half a token for each byte, and records how many bytes it was asked for.
class HalfTokens final : public llm::Provider {
 public:
  const std::vector<std::string>& models() const override { return models_; }
  std::optional<std::size_t> count_tokens(std::string_view, std::string_view text) override {
    if (!text.empty()) asked.push_back(text.size());
    return text.size() / 2;
  }
  Task<llm::CompletionResult> complete(llm::CompletionRequest, const llm::TextSink&,
                                       llm::Cancellation&) override {
    co_return llm::CompletionResult{};
  }

  std::vector<std::size_t> asked;

 private:
  std::vector<std::string> models_{"model"};
};

class NoTokenizer final : public llm::Provider {
 public:
  const std::vector<std::string>& models() const override { return models_; }
  Task<llm::CompletionResult> complete(llm::CompletionRequest, const llm::TextSink&,
                                       llm::Cancellation&) override {
    co_return llm::CompletionResult{};
  }

 private:
  std::vector<std::string> models_{"model"};
};

TEST(TokenCounter, CountsByTheProvidersTokenizerWhereItHasOne) {
  llm::DemoProvider demo;
  TokenCounter exact(demo, "demo");
  EXPECT_FALSE(exact.estimates());
  EXPECT_EQ(exact.message("three words here"), 3U);
  NoTokenizer other;
  TokenCounter estimate(other, "");
  EXPECT_TRUE(estimate.estimates());
  EXPECT_EQ(estimate.message("three words here"), 5U + kTokensAroundMessage);
  EXPECT_EQ(estimate.message(""), 0U);
}

TEST(TokenCounter, CountsExactlyAsFarAsItsBytesGoAndEstimatesTheRest) {
  HalfTokens provider;
  TokenCounter counter(provider, "");
  const std::string text(50 * kKiB, 'x');
  for (int i = 0; i < 5; ++i) EXPECT_EQ(counter.message(text), 25 * kKiB);
  EXPECT_FALSE(counter.estimates());
  EXPECT_EQ(counter.message(text), llm::estimate_tokens(text) + kTokensAroundMessage);
  EXPECT_TRUE(counter.estimates());
  // What is shorter still has room.
  EXPECT_EQ(counter.message("of a few bytes"), 7U);
  EXPECT_EQ(provider.asked.size(), 6U);
  TokenCounter another(provider, "");
  EXPECT_EQ(another.message(text), 25 * kKiB);
}

TEST(TokenCounter, SaysThatALongTextsCountIsAnEstimateAlsoWhereTheProviderMakesIt) {
  HalfTokens provider;
  TokenCounter counter(provider, "");
  EXPECT_EQ(counter.message(std::string(64 * kKiB, 'x')), 32 * kKiB);
  EXPECT_FALSE(counter.estimates());
  EXPECT_EQ(counter.message(std::string(1000 * kKiB, 'x')), 500 * kKiB);
  EXPECT_TRUE(counter.estimates());
  // The provider has read only the beginning of it.
  EXPECT_EQ(counter.message(std::string(64 * kKiB, 'x')), 32 * kKiB);
}

}  // namespace
}  // namespace colloquy::chat
