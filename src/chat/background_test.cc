// Titles and summaries, which the model makes in the background.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "chat/chat_harness.h"

namespace colloquy::chat {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::Not;

class BackgroundTest : public FollowedTurnsTest {
 protected:
  ConversationId say(const std::string& prompt, std::optional<ConversationId> in = {}) {
    TurnRequest request;
    request.conversation_id = in;
    request.prompt = prompt;
    auto turn = run(turns->start(kAlice, std::move(request), {}));
    run(turn.generation->outcome());
    return turn.conversation.id;
  }
  void rename(ConversationId id, const std::string& title) {
    store::ConversationPatch patch;
    patch.title = title;
    run(observed.update_conversation(kAlice, id, patch, {}));
  }
  // Runs until the background call waits.
  void run_until_it_waits() {
    loop.restart();
    while (provider.background_calls() == 0 && loop.run_one() > 0) {
    }
  }
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
  provider.titles_wait = true;
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
  EXPECT_EQ(provider.background_calls(), 1);
}

TEST_F(BackgroundTest, TheModelIsToldWhichCallsNobodyWaitsFor) {
  build({.context_messages = 2, .context_summary = true});
  auto id = say("one");
  run_all();
  EXPECT_EQ(provider.background_calls(), 1);
  say("two", id);
  run_all();
  EXPECT_EQ(provider.background_calls(), 2);
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
  EXPECT_EQ(provider.background_calls(), 1);
}

TEST_F(BackgroundTest, ATitleThatTheUserSetsMeanwhileStays) {
  build();
  provider.titles_wait = true;
  auto id = say("Hi");
  run_until_it_waits();
  rename(id, "Mine");
  provider.go.notify_all();
  run_all();
  EXPECT_EQ(get(id).title, "Mine");
}

TEST_F(BackgroundTest, AModelThatFailsOrSaysNothingLeavesTheTitle) {
  build();
  provider.background_fails = true;
  auto id = say("Hi");
  run_all();
  EXPECT_EQ(get(id).title, "Hi");
  provider.background_fails = false;
  provider.title = "\"\"";
  id = say("Hello");
  run_all();
  EXPECT_EQ(get(id).title, "Hello");
}

TEST_F(BackgroundTest, WhatFindsNoRoomIsNotDone) {
  background_options.most_at_once = 1;
  build();
  provider.titles_wait = true;
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
  provider.titles_wait = true;
  auto id = say("Hi");
  run_until_it_waits();
  asio::co_spawn(loop, model->drain(milliseconds(30'000)), asio::detached);
  run_all();
  EXPECT_EQ(model->running(), 0U);
  EXPECT_EQ(get(id).title, "Hi");
  say("Hello");
  run_all();
  EXPECT_EQ(provider.background_calls(), 1);
}

TEST_F(BackgroundTest, ACallThatTakesTooLongIsGivenUp) {
  background_options.timeout = milliseconds(20);
  build();
  provider.titles_wait = true;
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
  EXPECT_EQ(provider.background_calls(), 0);
  say("three", id);
  run_all();
  EXPECT_EQ(provider.background_calls(), 1);
  // The first pair fell out; half of the rest comes with it.
  EXPECT_THAT(provider.background_prompt, HasSubstr("user: one"));
  EXPECT_THAT(provider.background_prompt, HasSubstr("user: two"));
  EXPECT_THAT(provider.background_prompt, Not(HasSubstr("three")));
  ASSERT_TRUE(get(id).summary);
  EXPECT_EQ(get(id).summary->text, "They spoke of trains.");
  say("four", id);
  run_all();
  EXPECT_EQ(provider.given.front(), "Summary of the earlier conversation:\nThey spoke of trains.");
  EXPECT_EQ(provider.background_calls(), 1);
  say("five", id);
  run_all();
  EXPECT_EQ(provider.background_calls(), 2);
  EXPECT_THAT(provider.background_prompt,
              HasSubstr("Summary so far:\nThey spoke of trains.\n\nMessages:\nuser: three"));
  EXPECT_EQ(charged, 5 * 9);
}

TEST_F(BackgroundTest, ASummaryOfADeletedMessageIsNotKept) {
  build({.context_messages = 2, .context_summary = true}, false);
  auto id = say("one");
  provider.summaries_wait = true;
  say("two", id);
  run_until_it_waits();
  auto first = run(store.list_messages(kAlice, id, {})).messages.front().id;
  asio::co_spawn(loop, observed.delete_message(kAlice, id, first), asio::detached);
  loop.restart();
  loop.poll();
  provider.go.notify_all();
  run_all();
  EXPECT_EQ(provider.background_calls(), 1);
  EXPECT_FALSE(get(id).summary);
}

TEST_F(BackgroundTest, ASummarySurvivesATurnThatRanMeanwhile) {
  build({.context_messages = 2, .context_summary = true}, false);
  auto id = say("one");
  provider.summaries_wait = true;
  say("two", id);
  run_until_it_waits();
  say("three", id);
  EXPECT_EQ(provider.background_calls(), 1);
  provider.go.notify_all();
  run_all();
  ASSERT_TRUE(get(id).summary);
}

TEST_F(BackgroundTest, ASummaryIsCutAndAFailureHarmsNoTurn) {
  build({.context_messages = 2, .context_summary = true}, false);
  provider.background_fails = true;
  auto id = say("one");
  say("two", id);
  run_all();
  EXPECT_FALSE(get(id).summary);
  provider.background_fails = false;
  provider.summary = std::string(5000, 'x');
  say("three", id);
  run_all();
  ASSERT_TRUE(get(id).summary);
  EXPECT_EQ(get(id).summary->text.size(), limits::kSummaryBytes);
}

}  // namespace
}  // namespace colloquy::chat
