// Turns, titles, summaries and what observers are told, in a conversation with branches.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "chat/chat_harness.h"
#include "chat/conversations.h"

namespace colloquy::chat {
namespace {

using std::chrono::milliseconds;
namespace asio = boost::asio;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class Notes final : public StoreObserver {
 public:
  void conversation_changed(const store::Conversation& conversation) override {
    told.push_back("changed, branches: " + std::to_string(conversation.tree.branches.size()));
  }
  void message_added(const UserId& /*user*/, ConversationId /*id*/,
                     const store::Message& message) override {
    told.emplace_back(store::role_name(message.role));
  }
  std::vector<std::string> take() { return std::exchange(told, {}); }
  std::vector<std::string> told;
};

class BranchesTest : public FollowedTurnsTest {
 protected:
  void build(const ChatOptions& options = {}) {
    provider.title = "A title";
    provider.summary = "In short.";
    FollowedTurnsTest::build(options);
    observed.add(notes);
    conversations = std::make_unique<Conversations>(observed, options);
  }

  Turn start(TurnRequest request, std::optional<store::IdempotencyKey> key = {}) {
    request.conversation_id = id;
    auto turn = run(turns->start(kAlice, std::move(request), std::move(key)));
    id = turn.conversation.id;
    return turn;
  }
  Turn finish(Turn turn) {
    turn.reply = run(turn.generation->outcome()).reply;
    return turn;
  }
  Turn say(const std::string& prompt, PlaceRequest place = {}) {
    TurnRequest request;
    request.prompt = prompt;
    request.place = place;
    return finish(start(std::move(request)));
  }
  Turn begin_again(MessageId message, std::optional<store::IdempotencyKey> key = {}) {
    TurnRequest request;
    request.regenerated = message;
    return start(std::move(request), std::move(key));
  }
  Turn again(MessageId message) { return finish(begin_again(message)); }
  static PlaceRequest edit_of(MessageId message) {
    PlaceRequest place;
    place.edit_of = message;
    return place;
  }
  void switch_to(MessageId message) {
    run(conversations->update(kAlice, *id, {}, std::nullopt, message));
  }
  std::vector<std::string> active() {
    std::vector<std::string> contents;
    store::MessageRange range;
    for (auto& message : run(observed.list_messages(kAlice, *id, range)).messages) {
      contents.push_back(std::move(message.content));
    }
    return contents;
  }
  store::Conversation get() { return FollowedTurnsTest::get(*id); }

  Notes notes;
  std::unique_ptr<Conversations> conversations;
  std::optional<ConversationId> id;
};

TEST_F(BranchesTest, AnotherAnswerIsGivenWhatIsBeforeThePromptOnly) {
  build();
  say("one");
  auto second = say("two");
  say("three");
  auto again_second = again(second.reply.id);
  EXPECT_THAT(provider.given, ElementsAre("one", "answer 1", "two"));
  EXPECT_EQ(again_second.prompt->id, second.prompt->id);
  EXPECT_EQ(again_second.reply.parent, second.prompt->id);
  EXPECT_EQ(again_second.reply.content, "answer 4");
  EXPECT_THAT(active(), ElementsAre("one", "answer 1", "two", "answer 4"));
  auto by_prompt = again(second.prompt->id);
  EXPECT_EQ(by_prompt.reply.parent, second.prompt->id);
  EXPECT_EQ(get().tree.branches.size(), 2U);
  say("and on");
  EXPECT_THAT(provider.given, ElementsAre("one", "answer 1", "two", "answer 5", "and on"));
}

TEST_F(BranchesTest, AnEditIsGivenWhatIsBeforeWhatItEdits) {
  build();
  auto first = say("one");
  auto second = say("two");
  say("zwei", edit_of(second.prompt->id));
  EXPECT_THAT(provider.given, ElementsAre("one", "answer 1", "zwei"));
  auto edited = say("eins", edit_of(first.prompt->id));
  EXPECT_THAT(provider.given, ElementsAre("eins"));
  EXPECT_FALSE(edited.prompt->parent);
  PlaceRequest after;
  after.parent = second.reply.id;
  auto on = say("three", after);
  EXPECT_THAT(provider.given, ElementsAre("one", "answer 1", "two", "answer 2", "three"));
  EXPECT_EQ(on.prompt->parent, second.reply.id);
  switch_to(edited.reply.id);
  EXPECT_THAT(active(), ElementsAre("eins", "answer 4"));
}

TEST_F(BranchesTest, ARegeneratedAnswerIsFollowedAndRepeatedLikeAnyOther) {
  build();
  auto first = say("one");
  say("two");
  provider.turns_wait = true;
  store::IdempotencyKey key;
  key.key = "k:again";
  key.expires_at_s = clock.now_s() + 1000;
  auto running = begin_again(first.reply.id, key);
  run(observed.get_message(kAlice, *id, running.reply.id));
  auto repeat = begin_again(first.reply.id, key);
  EXPECT_TRUE(repeat.replayed);
  EXPECT_EQ(repeat.generation, running.generation);
  EXPECT_EQ(repeat.prompt->id, first.prompt->id);
  auto followed = run(turns->follow(kAlice, *id, running.reply.id, {}));
  EXPECT_EQ(followed.generation, running.generation);
  ASSERT_TRUE(followed.prompt);
  EXPECT_EQ(followed.prompt->id, first.prompt->id);
  auto other = begin_again(first.reply.id);
  provider.go.notify_all();
  EXPECT_EQ(finish(running).reply.parent, first.prompt->id);
  EXPECT_EQ(finish(other).reply.parent, first.prompt->id);
  EXPECT_EQ(get().message_count, 6U);
  auto ended = run(turns->follow(kAlice, *id, running.reply.id, {}));
  EXPECT_FALSE(ended.generation);
  EXPECT_EQ(ended.prompt->id, first.prompt->id);
}

TEST_F(BranchesTest, ARepeatIsAnsweredWhenWhatItNamesIsGone) {
  build();
  auto first = say("one");
  auto second = say("two");
  store::IdempotencyKey key;
  key.key = "k:edit";
  key.expires_at_s = clock.now_s() + 1000;
  TurnRequest request;
  request.prompt = "zwei";
  request.place = edit_of(second.prompt->id);
  auto made = finish(start(request, key));
  run(conversations->messages(kAlice, *id, {}));
  asio::co_spawn(loop, observed.delete_message(kAlice, *id, second.prompt->id), asio::detached);
  run_all();
  auto repeat = start(request, key);
  EXPECT_TRUE(repeat.replayed);
  EXPECT_EQ(repeat.reply.id, made.reply.id);
  EXPECT_THROW(start(request), Error);
  EXPECT_EQ(provider.answers, 3);
}

TEST_F(BranchesTest, ObserversHearOfTheAnswerAloneAndThatTheConversationGoesOnElsewhere) {
  build();
  auto first = say("one");
  run_all();
  notes.take();
  again(first.reply.id);
  EXPECT_THAT(notes.take(), ElementsAre("assistant", "changed, branches: 1"));
  say("on");
  EXPECT_THAT(notes.take(), ElementsAre("user", "assistant"));
  say("eins", edit_of(first.prompt->id));
  EXPECT_THAT(notes.take(), ElementsAre("user", "assistant", "changed, branches: 2"));
  store::NewMessage message;
  message.content = "uno";
  run(conversations->append(kAlice, *id, message, edit_of(first.prompt->id), {}));
  EXPECT_THAT(notes.take(), ElementsAre("user", "changed, branches: 3"));
  run(conversations->append(kAlice, *id, message, {}, {}));
  EXPECT_THAT(notes.take(), ElementsAre("user"));
  switch_to(first.reply.id);
  EXPECT_THAT(notes.take(), ElementsAre("changed, branches: 3"));
}

TEST_F(BranchesTest, TheFirstAnswerGetsTheTitleAndNoOther) {
  build();
  auto first = say("one");
  run_all();
  EXPECT_EQ(get().title, "A title");
  store::ConversationPatch patch;
  patch.title = std::string(kDefaultTitle);
  run(store.update_conversation(kAlice, *id, patch, {}));
  again(first.reply.id);
  run_all();
  EXPECT_EQ(provider.titles, 1);
}

TEST_F(BranchesTest, ASummaryIsGivenOnTheWaysThatItIsOf) {
  build({.context_messages = 2, .context_summary = true});
  say("one");
  auto second = say("two");
  run_all();
  auto third = say("three");
  run_all();
  EXPECT_THAT(provider.given.front(), HasSubstr("In short."));
  ASSERT_TRUE(get().summary);
  auto up_to = get().summary->up_to;
  // Before what it covers, it says nothing.
  provider.turns_wait = true;
  auto early = begin_again(second.prompt->id);
  EXPECT_LT(early.prompt->id, third.prompt->id);
  auto explained = run(contexts->explain(kAlice, *id, "", "now", edit_of(second.prompt->id)));
  EXPECT_FALSE(explained.prepared.summary);
  EXPECT_FALSE(explained.prepared.context.summary_given);
  PlaceRequest after;
  after.parent = third.reply.id;
  explained = run(contexts->explain(kAlice, *id, "", "now", after));
  ASSERT_TRUE(explained.prepared.summary);
  EXPECT_EQ(explained.prepared.summary->up_to, up_to);
  EXPECT_TRUE(explained.prepared.context.summary_given);
  provider.go.notify_all();
  run_all();
}

TEST_F(BranchesTest, ASummaryOfAWayThatIsNotActiveAnyMoreIsNotStored) {
  build({.context_messages = 2, .context_summary = true});
  auto first = say("one");
  provider.summaries_wait = true;
  say("two");
  loop.restart();
  while (provider.summaries == 0 && loop.run_one() > 0) {
  }
  EXPECT_THAT(provider.background_prompt, HasSubstr("one"));
  say("eins", edit_of(first.prompt->id));
  provider.go.notify_all();
  run_all();
  EXPECT_FALSE(get().summary);
}

TEST_F(BranchesTest, ASummaryOfAnotherWayIsNotWhatTheNextOneGoesOnFrom) {
  build({.context_messages = 2, .context_summary = true});
  auto first = say("one");
  say("two");
  run_all();
  ASSERT_TRUE(get().summary);
  say("eins", edit_of(first.prompt->id));
  say("zwei");
  run_all();
  EXPECT_THAT(provider.background_prompt, HasSubstr("eins"));
  EXPECT_THAT(provider.background_prompt, Not(HasSubstr("Summary so far")));
  EXPECT_THAT(provider.background_prompt, Not(HasSubstr("one")));
  ASSERT_TRUE(get().summary);
  EXPECT_EQ(get().summary->branch, 1U);
  say("drei");
  EXPECT_THAT(provider.given.front(), HasSubstr("In short."));
}

TEST_F(BranchesTest, WhatIsLeftOutIsOfTheWayThatIsExplained) {
  build({.context_messages = 1});
  auto first = say("one");
  auto second = say("two");
  say("eins", edit_of(first.prompt->id));
  PlaceRequest after;
  after.parent = second.reply.id;
  auto explained = run(contexts->explain(kAlice, *id, "", "now", after));
  std::vector<MessageId> left_out;
  for (const auto& message : explained.left_out) left_out.push_back(message.id);
  EXPECT_THAT(left_out, ElementsAre(first.prompt->id, first.reply.id, second.prompt->id));
  EXPECT_FALSE(explained.more_left_out);
  PlaceRequest beginning;
  beginning.parent.emplace();
  explained = run(contexts->explain(kAlice, *id, "", "now", beginning));
  EXPECT_THAT(explained.left_out, IsEmpty());
  EXPECT_EQ(explained.prepared.context.messages.size(), 1U);
}

}  // namespace
}  // namespace colloquy::chat
