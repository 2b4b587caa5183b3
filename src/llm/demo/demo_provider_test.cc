#include "llm/demo/demo_provider.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include "base/error.h"
#include "llm/demo/demo_answer.h"

namespace colloquy::llm {
namespace {

using namespace std::chrono_literals;

class DemoProviderTest : public ::testing::Test {
 protected:
  DemoProviderTest() { request_.messages = {{Role::kUser, "Hello, wörld"}}; }

  CompletionResult complete(DemoProvider& provider) {
    pieces_.clear();
    loop_.restart();
    sink_ = [this](std::string_view text) {
      pieces_.emplace_back(text);
      if (on_piece_) on_piece_();
    };
    auto result = boost::asio::co_spawn(loop_, provider.complete(request_, sink_, cancellation_),
                                        boost::asio::use_future);
    loop_.run();
    return result.get();
  }
  std::string text() const {
    std::string out;
    for (const std::string& piece : pieces_) out += piece;
    return out;
  }

  boost::asio::io_context loop_;
  CompletionRequest request_;
  Cancellation cancellation_;
  std::function<void()> on_piece_;
  std::vector<std::string> pieces_;
  TextSink sink_;
};

TEST_F(DemoProviderTest, StreamsTheWholeAnswerWordByWord) {
  DemoProvider provider;
  const CompletionResult result = complete(provider);
  EXPECT_EQ(text(), demo_answer(request_));
  EXPECT_EQ(result.stop_reason, StopReason::kStop);
  EXPECT_EQ(result.completion_tokens, static_cast<std::int64_t>(pieces_.size()));
  EXPECT_EQ(result.completion_tokens,
            static_cast<std::int64_t>(provider.count_tokens("", text()).value()));
  EXPECT_EQ(result.prompt_tokens, 2);
  EXPECT_GT(pieces_.size(), 20U);
}

TEST_F(DemoProviderTest, StopsAtMaxTokens) {
  DemoProvider provider;
  request_.sampling.max_tokens = 3;
  const CompletionResult result = complete(provider);
  EXPECT_EQ(pieces_.size(), 3U);
  EXPECT_EQ(result.completion_tokens, 3);
  EXPECT_EQ(result.stop_reason, StopReason::kLength);
}

TEST_F(DemoProviderTest, ExactlyEnoughTokensIsAStop) {
  DemoProvider provider;
  complete(provider);
  request_.sampling.max_tokens = static_cast<int>(pieces_.size());
  EXPECT_EQ(complete(provider).stop_reason, StopReason::kStop);
}

TEST_F(DemoProviderTest, EndsBeforeTheFirstStopSequence) {
  DemoProvider provider;
  request_.sampling.stop = {"never there", "örld", "Hel"};
  EXPECT_EQ(complete(provider).stop_reason, StopReason::kStop);
  EXPECT_EQ(text(), "You say “");
}

TEST_F(DemoProviderTest, OtherWorkOfTheEventLoopGetsItsTurnBetweenTokens) {
  DemoProvider provider;
  std::size_t turns = 0;
  on_piece_ = [&] { boost::asio::post(loop_, [&] { ++turns; }); };
  complete(provider);
  EXPECT_EQ(turns, pieces_.size());
}

TEST_F(DemoProviderTest, ACancelKeepsWhatWasSaid) {
  DemoProvider provider;
  on_piece_ = [&] {
    if (pieces_.size() == 2) cancellation_.request();
  };
  EXPECT_EQ(complete(provider).completion_tokens, 2);
  EXPECT_EQ(pieces_.size(), 2U);
}

TEST_F(DemoProviderTest, ACancelEndsTheWaitForTheNextToken) {
  DemoProvider provider(DemoOptions{.model = "demo", .delay_per_token = 1h});
  boost::asio::post(loop_, [&] { boost::asio::post(loop_, [&] { cancellation_.request(); }); });
  EXPECT_EQ(complete(provider).completion_tokens, 0);
}

TEST_F(DemoProviderTest, AnotherModelIsRefused) {
  DemoProvider provider;
  request_.model = "another";
  EXPECT_THROW(complete(provider), Error);
  request_.model = "demo";
  EXPECT_NO_THROW(complete(provider));
}

}  // namespace
}  // namespace colloquy::llm
