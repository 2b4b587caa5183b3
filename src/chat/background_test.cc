// Titles and summaries, which the model makes in the background.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include "base/error.h"
#include "chat/background_model.h"
#include "chat/observed_store.h"
#include "chat/summaries.h"
#include "chat/titles.h"
#include "chat/turns.h"
#include "store/testing/model_store.h"

namespace colloquy::chat {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::Not;

const UserId kAlice("alice");

// Answers turns, titles and summaries each with words of its own; waits in background calls where
// it is told to.
class ThreeVoices final : public llm::Provider {
 public:
  const std::vector<std::string>& models() const override { return models_; }
  Task<llm::CompletionResult> complete(llm::CompletionRequest request, const llm::TextSink& sink,
                                       llm::Cancellation& cancellation) override {
    if (request.background) ++marked_background;
    const auto& first = request.messages.front().content;
    bool is_title = first.find("titles") != std::string::npos;
    bool is_summary = first.starts_with("You keep the summary");
    if (is_title || is_summary) {
      ++background_calls;
      background_prompt = request.messages.back().content;
      auto ticket = go.ticket();
      while (waits && !cancellation.requested() && go.ticket() == ticket) {
        co_await go.wait(ticket, milliseconds(5));
      }
      if (fails) throw unavailable("The model is out.");
      sink(is_title ? title : summary);
    } else {
      given = request.messages;
      sink("answer");
    }
    co_return llm::CompletionResult{llm::StopReason::kStop, 7, 2};
  }

  std::string title = "\"Trains to Lisbon.\"";
  std::string summary = "They spoke of trains.";
  bool waits = false;
  bool fails = false;
  int background_calls = 0;
  int marked_background = 0;  // of all calls
  std::string background_prompt;
  std::vector<llm::ChatMessage> given;
  Signal go;

 private:
  std::vector<std::string> models_{"model"};
};

class BackgroundTest : public ::testing::Test {
 protected:
  void build(ChatOptions options = {}, bool with_titles = true) {
    contexts = std::make_unique<ContextBuilder>(observed, provider, options);
    model = std::make_unique<BackgroundModel>(provider, metrics, background_options);
    titles = std::make_unique<Titles>(observed, *model);
    summaries = std::make_unique<Summaries>(observed, *contexts, *model);
    if (with_titles) observed.add(*titles);
    observed.add(*summaries);
    turns =
        std::make_unique<Turns>(observed, provider, clock, metrics, options,
                                [this](const UserId&, std::int64_t tokens) { charged += tokens; });
  }

  template <class T>
  T run(Task<T> task) {
    std::optional<T> result;
    std::exception_ptr failure;
    asio::co_spawn(loop, std::move(task), [&](std::exception_ptr error, T value) {
      failure = error;
      if (!error) result.emplace(std::move(value));
    });
    loop.restart();
    while (!result && !failure && loop.run_one() > 0) {
    }
    if (failure) std::rethrow_exception(failure);
    return std::move(*result);
  }
  void run_all() {
    loop.restart();
    loop.run();
  }

  ConversationId say(const std::string& prompt, std::optional<ConversationId> in = {}) {
    TurnRequest request;
    request.conversation_id = in;
    request.prompt = prompt;
    auto turn = run(turns->start(kAlice, std::move(request), {}));
    run(turn.generation->outcome());
    return turn.conversation.id;
  }
  store::Conversation get(ConversationId id) { return *run(store.get_conversation(kAlice, id)); }
  void rename(ConversationId id, const std::string& title) {
    store::ConversationPatch patch;
    patch.title = title;
    run(observed.update_conversation(kAlice, id, patch, {}));
  }
  // Runs until the background call waits.
  void run_until_it_waits() {
    loop.restart();
    while (provider.background_calls == 0 && loop.run_one() > 0) {
    }
  }

  asio::io_context loop;
  ManualClock clock{1'700'000'000'000};
  SeededIdSource ids{1};
  store::ModelStore store{clock, ids};
  ObservedStore observed{store};
  ThreeVoices provider;
  telemetry::Metrics metrics;
  BackgroundOptions background_options;
  std::int64_t charged = 0;
  std::unique_ptr<ContextBuilder> contexts;
  std::unique_ptr<BackgroundModel> model;
  std::unique_ptr<Titles> titles;
  std::unique_ptr<Summaries> summaries;
  std::unique_ptr<Turns> turns;
};

TEST(CleanTitle, IsOneShortLineWithoutQuotesAndMarks) {
  EXPECT_EQ(clean_title("\n \"Trains to Lisbon.\"\nmore"), "Trains to Lisbon");
  EXPECT_EQ(clean_title("**Title: “Züge nach Lissabon”**"), "Züge nach Lissabon");
  EXPECT_EQ(clean_title("# 'What?'"), "What?");
  EXPECT_EQ(clean_title("<think>hm\n</think>\n\nTrains"), "Trains");
  EXPECT_EQ(clean_title("<think>hm"), "");
  EXPECT_EQ(clean_title(" \"\" "), "");
  EXPECT_EQ(clean_title(""), "");
  EXPECT_EQ(clean_title("a\tb\x01"), "ab");
  std::string words;
  for (int i = 0; i < 40; ++i) words += "wörd ";
  auto title = clean_title(words);
  EXPECT_LE(title.size(), 60U);
  EXPECT_TRUE(title.ends_with("wörd…"));
}

TEST_F(BackgroundTest, TheModelTitlesAConversationAfterItsFirstTurn) {
  build();
  provider.waits = true;
  auto id = say("How do I get to Lisbon by train?");
  run_until_it_waits();
  EXPECT_EQ(get(id).title, "How do I get to Lisbon by train?");
  provider.go.notify_all();
  run_all();
  EXPECT_EQ(get(id).title, "Trains to Lisbon");
  EXPECT_THAT(provider.background_prompt, HasSubstr("How do I get to Lisbon by train?"));
  EXPECT_EQ(charged, 9);
  EXPECT_THAT(metrics.render(),
              HasSubstr("colloquy_background_tokens_total{kind=\"prompt\",purpose=\"title\"} 7"));
  provider.title = "Another";
  say("And back?", id);
  run_all();
  EXPECT_EQ(get(id).title, "Trains to Lisbon");
  EXPECT_EQ(provider.background_calls, 1);
}

TEST_F(BackgroundTest, TheModelIsToldWhichCallsNobodyWaitsFor) {
  build({.context_messages = 2, .context_summary = true});
  auto id = say("one");
  run_all();
  EXPECT_EQ(provider.background_calls, 1);
  say("two", id);
  run_all();
  EXPECT_EQ(provider.background_calls, 2);
  EXPECT_EQ(provider.marked_background, 2);
}

TEST_F(BackgroundTest, ADefaultTitleGivesWayAndAGivenOneStays) {
  build();
  store::NewConversation fresh;
  fresh.title = "New Conversation";
  auto id = run(observed.create_conversation(kAlice, fresh, {})).conversation.id;
  fresh.title = "Mine";
  auto mine = run(observed.create_conversation(kAlice, fresh, {})).conversation.id;
  say("Hi", id);
  say("Hi", mine);
  run_all();
  EXPECT_EQ(get(id).title, "Trains to Lisbon");
  EXPECT_EQ(get(mine).title, "Mine");
  EXPECT_EQ(provider.background_calls, 1);
}

TEST_F(BackgroundTest, ATitleThatTheUserSetsMeanwhileStays) {
  build();
  provider.waits = true;
  auto id = say("Hi");
  run_until_it_waits();
  rename(id, "Mine");
  provider.go.notify_all();
  run_all();
  EXPECT_EQ(get(id).title, "Mine");
}

TEST_F(BackgroundTest, AModelThatFailsOrSaysNothingLeavesTheTitle) {
  build();
  provider.fails = true;
  auto id = say("Hi");
  run_all();
  EXPECT_EQ(get(id).title, "Hi");
  provider.fails = false;
  provider.title = "\"\"";
  id = say("Hello");
  run_all();
  EXPECT_EQ(get(id).title, "Hello");
}

TEST_F(BackgroundTest, WhatFindsNoRoomIsNotDone) {
  background_options.most_at_once = 1;
  build();
  provider.waits = true;
  auto first = say("one");
  auto second = say("two");
  run_until_it_waits();
  EXPECT_EQ(model->running(), 1U);
  provider.go.notify_all();
  run_all();
  EXPECT_EQ(get(first).title, "Trains to Lisbon");
  EXPECT_EQ(get(second).title, "two");
}

TEST_F(BackgroundTest, DrainingStopsWhatRuns) {
  build();
  provider.waits = true;
  auto id = say("Hi");
  run_until_it_waits();
  asio::co_spawn(loop, model->drain(milliseconds(30'000)), asio::detached);
  run_all();
  EXPECT_EQ(model->running(), 0U);
  EXPECT_EQ(get(id).title, "Hi");
  say("Hello");
  run_all();
  EXPECT_EQ(provider.background_calls, 1);
}

TEST_F(BackgroundTest, ACallThatTakesTooLongIsGivenUp) {
  background_options.timeout = milliseconds(20);
  build();
  provider.waits = true;
  auto id = say("Hi");
  run_all();
  EXPECT_EQ(model->running(), 0U);
  EXPECT_EQ(get(id).title, "Hi");
}

TEST_F(BackgroundTest, WhatFallsOutIsSummarizedAndGivenToTheModel) {
  build({.context_messages = 4, .context_summary = true}, false);
  auto id = say("one");
  say("two", id);
  run_all();
  EXPECT_EQ(provider.background_calls, 0);
  say("three", id);
  run_all();
  EXPECT_EQ(provider.background_calls, 1);
  // The first pair fell out; half of the rest comes with it.
  EXPECT_THAT(provider.background_prompt, HasSubstr("user: one"));
  EXPECT_THAT(provider.background_prompt, HasSubstr("user: two"));
  EXPECT_THAT(provider.background_prompt, Not(HasSubstr("three")));
  ASSERT_TRUE(get(id).summary);
  EXPECT_EQ(get(id).summary->text, "They spoke of trains.");
  say("four", id);
  run_all();
  EXPECT_EQ(provider.given.front().content,
            "Summary of the earlier conversation:\nThey spoke of trains.");
  EXPECT_EQ(provider.background_calls, 1);
  say("five", id);
  run_all();
  EXPECT_EQ(provider.background_calls, 2);
  EXPECT_THAT(provider.background_prompt,
              HasSubstr("Summary so far:\nThey spoke of trains.\n\nMessages:\nuser: three"));
  EXPECT_EQ(charged, 5 * 9);
}

TEST_F(BackgroundTest, ASummaryOfADeletedMessageIsNotKept) {
  build({.context_messages = 2, .context_summary = true}, false);
  auto id = say("one");
  provider.waits = true;
  say("two", id);
  run_until_it_waits();
  auto first = run(store.list_messages(kAlice, id, {})).messages.front().id;
  asio::co_spawn(loop, observed.delete_message(kAlice, id, first), asio::detached);
  loop.restart();
  loop.poll();
  provider.go.notify_all();
  run_all();
  EXPECT_EQ(provider.background_calls, 1);
  EXPECT_FALSE(get(id).summary);
}

TEST_F(BackgroundTest, ASummarySurvivesATurnThatRanMeanwhile) {
  build({.context_messages = 2, .context_summary = true}, false);
  auto id = say("one");
  provider.waits = true;
  say("two", id);
  run_until_it_waits();
  say("three", id);
  EXPECT_EQ(provider.background_calls, 1);
  provider.go.notify_all();
  run_all();
  ASSERT_TRUE(get(id).summary);
}

TEST_F(BackgroundTest, ASummaryIsCutAndAFailureHarmsNoTurn) {
  build({.context_messages = 2, .context_summary = true}, false);
  provider.fails = true;
  auto id = say("one");
  say("two", id);
  run_all();
  EXPECT_FALSE(get(id).summary);
  provider.fails = false;
  provider.summary = std::string(5000, 'x');
  say("three", id);
  run_all();
  ASSERT_TRUE(get(id).summary);
  EXPECT_EQ(get(id).summary->text.size(), limits::kSummaryBytes);
}

}  // namespace
}  // namespace colloquy::chat
