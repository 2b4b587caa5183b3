#include "chat/token_count.h"

#include <gtest/gtest.h>

#include "llm/demo/demo_provider.h"

namespace colloquy::chat {
namespace {

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
  EXPECT_EQ(estimate.text("three words here"), 5U);
  EXPECT_EQ(estimate.message("three words here"), 5U + kTokensAroundMessage);
  EXPECT_EQ(estimate.message(""), 0U);
}

}  // namespace
}  // namespace colloquy::chat
