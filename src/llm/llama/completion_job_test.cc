#include "llm/llama/completion_job.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <thread>

namespace colloquy::llm {
namespace {

class CompletionJobTest : public ::testing::Test {
 protected:
  std::shared_ptr<CompletionJob> job(std::vector<std::string> stop = {}) {
    CompletionRequest request;
    request.sampling.stop = std::move(stop);
    return std::make_shared<CompletionJob>(std::move(request), sink_, loop_.get_executor());
  }
  CompletionResult wait(CompletionJob& job) {
    auto result = boost::asio::co_spawn(loop_, job.wait(), boost::asio::use_future);
    loop_.restart();
    loop_.run();
    return result.get();
  }

  boost::asio::io_context loop_;
  std::string text_;
  TextSink sink_ = [this](std::string_view piece) { text_ += piece; };
};

TEST_F(CompletionJobTest, ACharacterThatIsSplitOverTokensIsShownWhole) {
  auto one = job();
  EXPECT_TRUE(one->say("a\xF0\x9F"));
  loop_.run();
  EXPECT_EQ(text_, "a");
  EXPECT_TRUE(one->say("\x91\x8B"));
  one->finish();
  const auto result = wait(*one);
  EXPECT_EQ(text_, "a👋");
  EXPECT_EQ(result.completion_tokens, 3);
  EXPECT_EQ(result.stop_reason, StopReason::kStop);
}

TEST_F(CompletionJobTest, HalfACharacterAtTheEndIsReplaced) {
  auto one = job();
  one->say("a\xF0\x9F");
  one->reach_limit();
  EXPECT_EQ(wait(*one).stop_reason, StopReason::kLength);
  EXPECT_EQ(text_, "a\xEF\xBF\xBD");
}

TEST_F(CompletionJobTest, AStopStringEndsIt) {
  auto one = job({"XY"});
  EXPECT_TRUE(one->say("abX"));
  EXPECT_FALSE(one->say("Yc"));
  EXPECT_TRUE(one->ended());
  EXPECT_FALSE(one->say("more"));
  EXPECT_EQ(wait(*one).completion_tokens, 2);
  EXPECT_EQ(text_, "ab");
}

TEST_F(CompletionJobTest, WhatWasHeldBackIsShownAtTheEnd) {
  auto one = job({"XY"});
  one->say("abX");
  one->reach_limit();
  wait(*one);
  EXPECT_EQ(text_, "abX");
}

TEST_F(CompletionJobTest, ACancelKeepsWhatWasSaidAndDropsWhatIsSaidAfterIt) {
  auto one = job();
  one->say("a");
  one->cancel();
  EXPECT_FALSE(one->say("b"));
  one->fail(unavailable("x"));
  EXPECT_EQ(wait(*one).completion_tokens, 1);
  EXPECT_EQ(text_, "a");
}

TEST_F(CompletionJobTest, AFailureIsThrownAfterWhatWasSaid) {
  auto one = job();
  one->say("a");
  one->fail(unavailable("x"));
  EXPECT_THROW(wait(*one), Error);
  EXPECT_EQ(text_, "a");
}

TEST_F(CompletionJobTest, TextFromAnotherThreadArrivesInOrder) {
  auto one = job();
  auto result = boost::asio::co_spawn(loop_, one->wait(), boost::asio::use_future);
  std::string said;
  for (int i = 0; i < 2000; ++i) said += std::to_string(i) + ",";
  std::thread model([&] {
    for (const char c : said) one->say({&c, 1});
    one->finish();
  });
  loop_.run();
  model.join();
  EXPECT_EQ(text_, said);
  EXPECT_EQ(result.get().completion_tokens, static_cast<std::int64_t>(said.size()) + 1);
}

}  // namespace
}  // namespace colloquy::llm
