#include "llm/llama/llama_provider.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "llm/llama/llama_harness.h"
#include "llm/utf8_repair.h"

namespace colloquy::llm {
namespace {

using ::testing::HasSubstr;

class LlamaProviderTest : public ::testing::Test {
 protected:
  void open(const std::string& name, EngineOptions options) {
    if (options.threads == 0) options.threads = 1;
    provider_.reset();
    metrics_ = std::make_unique<telemetry::Metrics>();
    provider_ = std::make_unique<LlamaProvider>(model_path(name), options, *metrics_);
  }
  void open(const std::string& name) { open(name, {.slots = 2, .context_tokens = 1024}); }

  std::unique_ptr<Asked> begin(CompletionRequest request) {
    return ask(loop_, *provider_, std::move(request));
  }
  void run() {
    loop_.restart();
    loop_.run();
  }
  std::unique_ptr<Asked> complete(CompletionRequest request) {
    auto asked = begin(std::move(request));
    run();
    return asked;
  }
  std::string said(CompletionRequest request) {
    auto asked = complete(std::move(request));
    asked->result.get();
    return asked->text();
  }
  double prompt_tokens(const std::string& how) {
    return metrics_->counter("colloquy_llama_prompt_tokens_total", "", {{"how", how}}).Value();
  }
  std::optional<Error> failure_of(Asked& asked) {
    try {
      asked.result.get();
    } catch (const Error& error) {
      return error;
    }
    return std::nullopt;
  }

  boost::asio::io_context loop_;
  std::unique_ptr<telemetry::Metrics> metrics_;
  std::unique_ptr<LlamaProvider> provider_;
};

TEST_F(LlamaProviderTest, AnswersInWholeCharactersUntilTheModelEnds) {
  open("scripted");
  auto asked = complete(greedy("Hello there", 100));
  const auto result = asked->result.get();
  EXPECT_EQ(asked->text(), "hé👋 ok");
  for (const auto& piece : asked->pieces) EXPECT_EQ(Utf8Repair().push(piece), piece);
  EXPECT_EQ(result.stop_reason, StopReason::kStop);
  EXPECT_EQ(result.completion_tokens, 11);  // a byte each, and the end
  EXPECT_EQ(result.prompt_tokens, 27);
  EXPECT_EQ(provider_->models(), std::vector<std::string>{"scripted"});
}

TEST_F(LlamaProviderTest, WhatIsNoCharacterIsReplaced) {
  open("bytes");
  auto asked = complete(greedy("Hello there", 200));
  EXPECT_EQ(asked->result.get().completion_tokens, 200);
  for (const auto& piece : asked->pieces) EXPECT_EQ(Utf8Repair().push(piece), piece);
  EXPECT_THAT(asked->text(), HasSubstr("\xEF\xBF\xBD"));
}

TEST_F(LlamaProviderTest, MaxTokensCutsAndTheSameAnswerGoesOnFurther) {
  open("tiny");
  const auto longer = said(greedy("Hello there", 60));
  auto asked = complete(greedy("Hello there", 20));
  EXPECT_EQ(asked->result.get().stop_reason, StopReason::kLength);
  EXPECT_EQ(asked->text(), longer.substr(0, 20));
}

TEST_F(LlamaProviderTest, AStopStringOverSeveralTokensIsNeverShown) {
  open("tiny");
  const auto whole = said(greedy("Hello there", 60));
  auto request = greedy("Hello there", 60);
  const auto stop = whole.substr(10, 4);
  request.sampling.stop = {"never said", stop};
  auto asked = complete(request);
  EXPECT_EQ(asked->text(), whole.substr(0, whole.find(stop)));
  EXPECT_EQ(asked->result.get().stop_reason, StopReason::kStop);
}

TEST_F(LlamaProviderTest, ASeedRepeatsAnAnswerAndAnotherDoesNot) {
  open("tiny");
  auto request = greedy("Hello there", 40);
  request.sampling.temperature = 1.5;
  request.sampling.top_k = 50;
  request.sampling.top_p = 0.99;
  request.sampling.seed = 7;
  said(request);  // the next two find the same prompt remembered
  const auto first = said(request);
  EXPECT_EQ(said(request), first);
  request.sampling.seed = 8;
  EXPECT_NE(said(request), first);
  request.sampling.top_k = 1;
  EXPECT_EQ(said(request), said(greedy("Hello there", 40)));
}

TEST_F(LlamaProviderTest, ManyAtOnceEachGetTheirOwnAnswer) {
  open("tiny", {.slots = 4, .context_tokens = 512});
  std::vector<std::string> alone;
  for (int i = 0; i < 12; ++i) {
    alone.push_back(said(greedy("Question " + std::to_string(i), 8)));
  }
  std::vector<std::unique_ptr<Asked>> asked;
  for (int i = 0; i < 12; ++i) {
    asked.push_back(begin(greedy("Question " + std::to_string(i), 8)));
  }
  run();
  for (std::size_t i = 0; i < asked.size(); ++i) {
    EXPECT_EQ(asked[i]->result.get().completion_tokens, 8);
    EXPECT_EQ(asked[i]->text(), alone[i]);
  }
}

TEST_F(LlamaProviderTest, TheNextTurnDoesNotReadItsHistoryAgain) {
  open("tiny");
  auto request = greedy(std::string(400, 'q'), 20);
  auto first = complete(request);
  const auto first_tokens = static_cast<double>(first->result.get().prompt_tokens);
  EXPECT_EQ(prompt_tokens("evaluated"), first_tokens);
  EXPECT_EQ(prompt_tokens("reused"), 0);
  said(greedy("Somebody else", 20));
  const auto before = prompt_tokens("evaluated");

  request.messages.push_back({Role::kAssistant, first->text()});
  request.messages.push_back({Role::kUser, "And then?"});
  auto second = complete(request);
  const auto second_tokens = static_cast<double>(second->result.get().prompt_tokens);
  EXPECT_GE(prompt_tokens("reused"), first_tokens + 18);
  EXPECT_EQ(prompt_tokens("reused") + prompt_tokens("evaluated") - before, second_tokens);

  open("tiny");
  EXPECT_EQ(said(request), second->text());  // with its history read anew
}

TEST_F(LlamaProviderTest, ACancelEndsWithinOneTokenAndKeepsWhatWasSaid) {
  open("tiny", {.slots = 1, .context_tokens = 4096});
  auto asked = begin(greedy("Hello there", 4000));
  asked->on_piece = [&] { asked->cancellation.request(); };
  auto next = begin(greedy("The next", 5));
  run();
  const auto result = asked->result.get();
  EXPECT_EQ(result.completion_tokens, static_cast<std::int64_t>(asked->text().size()));
  EXPECT_LT(result.completion_tokens, 1000);
  EXPECT_EQ(next->result.get().completion_tokens, 5);
}

TEST_F(LlamaProviderTest, WhoWaitsCanBeCancelledToo) {
  open("tiny", {.slots = 1, .context_tokens = 4096});
  auto running = begin(greedy("Hello there", 4000));
  auto waiting = begin(greedy("Never read", 4000));
  running->on_piece = [&] {
    waiting->cancellation.request();
    running->cancellation.request();
  };
  run();
  EXPECT_EQ(waiting->result.get().completion_tokens, 0);
  EXPECT_EQ(waiting->text(), "");
}

TEST_F(LlamaProviderTest, PastItsQueueItSaysThatItIsBusy) {
  open("tiny", {.slots = 1, .context_tokens = 4096, .queue = 2});
  auto running = begin(greedy("Hello there", 4000));
  std::vector<std::unique_ptr<Asked>> more;
  running->on_piece = [&] {
    if (!more.empty()) return;
    for (int i = 0; i < 3; ++i) more.push_back(begin(greedy("More", 2)));
    boost::asio::post(loop_, [&] { running->cancellation.request(); });
  };
  run();
  EXPECT_EQ(more[0]->result.get().completion_tokens, 2);
  EXPECT_EQ(more[1]->result.get().completion_tokens, 2);
  const auto failure = failure_of(*more[2]);
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->code(), ErrorCode::kUnavailable);
  EXPECT_GT(failure->retry_after_s(), 0);
}

TEST_F(LlamaProviderTest, AConversationThatIsTooLongIsRefusedAndAnAnswerEndsWithTheContext) {
  open("tiny", {.slots = 1, .context_tokens = 256});
  for (const std::size_t size : {300U, 100'000U}) {
    auto asked = complete(greedy(std::string(size, 'x'), 5));
    const auto failure = failure_of(*asked);
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->code(), ErrorCode::kInvalid);
    EXPECT_THAT(failure->message(), HasSubstr("256 tokens"));
  }
  auto asked = complete(greedy(std::string(200, 'x'), 1000));
  const auto result = asked->result.get();
  EXPECT_EQ(result.stop_reason, StopReason::kLength);
  EXPECT_EQ(result.prompt_tokens + result.completion_tokens, 257);  // the last one needs no room
}

TEST_F(LlamaProviderTest, EverySlotHasItsWholeContextWhateverItsSize) {
  open("tiny", {.slots = 3, .context_tokens = 301});
  std::vector<std::unique_ptr<Asked>> asked;
  for (int i = 0; i < 6; ++i) asked.push_back(begin(greedy(std::string(200, 'x'), 1000)));
  run();
  for (const auto& one : asked) {
    const auto result = one->result.get();
    EXPECT_EQ(result.prompt_tokens + result.completion_tokens, 302);
  }
}

#ifdef COLLOQUY_LLAMA_THREADS_TESTED
TEST_F(LlamaProviderTest, SeveralThreadsComputeTheSame) {
  open("tiny");
  const auto alone = said(greedy("Hello there", 3));
  open("tiny", {.slots = 1, .context_tokens = 256, .threads = 2});
  EXPECT_EQ(said(greedy("Hello there", 3)), alone);
}
#endif

TEST_F(LlamaProviderTest, AModelThatMakesNoNumbersFailsItsTurnsAndNothingElse) {
  open("not_numbers");
  for (const double temperature : {0.0, 1.0}) {
    auto request = greedy("Hello there", 10);
    request.sampling.temperature = temperature;
    EXPECT_EQ(failure_of(*complete(request))->code(), ErrorCode::kUnavailable);
  }
}

TEST_F(LlamaProviderTest, AnotherModelIsRefused) {
  open("tiny");
  auto request = greedy("x", 1);
  request.model = "another";
  EXPECT_EQ(failure_of(*complete(request))->code(), ErrorCode::kInvalid);
  request.model = "tiny";
  EXPECT_EQ(complete(request)->result.get().completion_tokens, 1);
}

TEST_F(LlamaProviderTest, TokensAreCountedByItsOwnTokenizer) {
  open("tiny");
  EXPECT_EQ(provider_->count_tokens("", "the xyz"), std::optional<std::size_t>(5));
  EXPECT_EQ(provider_->count_tokens("", std::string(300'000, 'x')), 300'000U);
}

TEST_F(LlamaProviderTest, AContextThatTheModelDoesNotHaveIsRefused) {
  EXPECT_THROW(open("tiny", {.slots = 1, .context_tokens = 16385}), Error);
}

TEST_F(LlamaProviderTest, ItsEndFailsWhatStillRuns) {
  open("tiny", {.slots = 1, .context_tokens = 4096});
  auto running = begin(greedy("Hello there", 4000));
  auto waiting = begin(greedy("Hello there", 4000));
  running->on_piece = [&] { loop_.stop(); };
  run();
  running->on_piece = nullptr;  // what was said meanwhile does not stop the loop again
  provider_.reset();
  run();
  EXPECT_EQ(failure_of(*waiting)->code(), ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace colloquy::llm
