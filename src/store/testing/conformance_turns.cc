// The life of a turn, and writes that are sent again.
#include <gmock/gmock.h>

#include "store/testing/conformance.h"

namespace colloquy::store {
namespace {

using testing::ElementsAre;

TEST_P(StoreConformance, ATurnWritesPromptAndPlaceOfAnswerTogether) {
  auto conversation = create(alice_);
  append(conversation, "before");
  advance_s(3);
  auto turn = start(conversation, "prompt");
  EXPECT_FALSE(turn.replayed);
  EXPECT_EQ(turn.prompt.content, "prompt");
  EXPECT_EQ(turn.prompt.role, Role::kUser);
  EXPECT_EQ(turn.prompt.status, MessageStatus::kComplete);
  EXPECT_EQ(turn.prompt.timestamp_s, clock().now_s());
  EXPECT_EQ(turn.reply.role, Role::kAssistant);
  EXPECT_EQ(turn.reply.status, MessageStatus::kRunning);
  EXPECT_EQ(turn.reply.content, "");
  EXPECT_EQ(turn.reply.model, "model");
  EXPECT_EQ(turn.reply.id, turn.prompt.id.successor());
  EXPECT_EQ(turn.conversation.message_count, 3U);
  EXPECT_EQ(turn.conversation.updated_at_s, clock().now_s());
  EXPECT_EQ(known_at_once(*get(conversation)), known_at_once(turn.conversation));
  auto page = list(conversation);
  ASSERT_EQ(page.messages.size(), 3U);
  EXPECT_EQ(page.messages[1], turn.prompt);
  EXPECT_EQ(page.messages[2], turn.reply);
}

TEST_P(StoreConformance, ATurnCanMakeItsConversation) {
  NewTurn turn;
  turn.new_conversation = NewConversation{"from the prompt", "system", {}, std::nullopt};
  turn.prompt.content = "prompt";
  turn.lease_until_s = clock().now_s() + 60;
  auto started = run_task(store().start_turn(alice_, turn, std::nullopt));
  EXPECT_EQ(started.conversation.title, "from the prompt");
  EXPECT_EQ(started.conversation.system_prompt, "system");
  EXPECT_EQ(started.conversation.message_count, 2U);
  EXPECT_EQ(known_at_once(*get(started.conversation)), known_at_once(started.conversation));
  EXPECT_THAT(contents(started.conversation), ElementsAre("prompt", ""));
  EXPECT_EQ(run_task(store().list_conversations(alice_, 5, {})).conversations.size(), 1U);
}

TEST_P(StoreConformance, AFinishedAnswerTakesItsPlace) {
  auto conversation = create(alice_);
  auto turn = start(conversation, "prompt");
  auto later = append(conversation, "appended while the model answers");
  advance_s(7);
  auto after = finish(turn, "answer");
  EXPECT_EQ(after.message_count, 3U);
  EXPECT_EQ(after.updated_at_s, clock().now_s());
  EXPECT_GT(after.version, turn.conversation.version);
  EXPECT_EQ(get(conversation), after);
  auto reply = get(conversation, turn.reply.id);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->content, "answer");
  EXPECT_EQ(reply->status, MessageStatus::kComplete);
  EXPECT_EQ(reply->finish_reason, FinishReason::kStop);
  EXPECT_EQ(reply->usage, (Usage{3, 4}));
  EXPECT_EQ(reply->model, "model");
  EXPECT_EQ(reply->timestamp_s, clock().now_s());
  EXPECT_THAT(contents(conversation),
              ElementsAre("prompt", "answer", "appended while the model answers"));
  EXPECT_GT(later.id, turn.reply.id);
}

TEST_P(StoreConformance, WhatWasSaidSoFarIsSeenWhileTheAnswerRuns) {
  auto conversation = create(alice_);
  auto turn = start(conversation, "prompt");
  auto before = *get(conversation);
  advance_s(5);
  EXPECT_TRUE(save_partial(turn, "so"));
  EXPECT_TRUE(save_partial(turn, "so far"));
  auto expected = turn.reply;
  expected.content = "so far";
  EXPECT_EQ(get(conversation, turn.reply.id), expected);
  EXPECT_EQ(list(conversation).messages.back(), expected);
  EXPECT_EQ(*get(conversation), before);
  // A running answer is no part of the context of another turn.
  auto recent = run_task(store().read_recent(alice_, conversation.id, newest(5), {}));
  ASSERT_EQ(recent->messages.size(), 1U);
  EXPECT_EQ(recent->messages[0].content, "prompt");
  finish(turn, "so far so good");
  EXPECT_THAT(contents(conversation), ElementsAre("prompt", "so far so good"));
  EXPECT_EQ(get(conversation)->message_count, 2U);
}

TEST_P(StoreConformance, WhatWasSaidSoFarIsLeftWhenTheServerIsGone) {
  auto conversation = create(alice_);
  auto turn = start(conversation, "prompt", 600);
  EXPECT_TRUE(save_partial(turn, "ünd"));
  reopen();
  EXPECT_FALSE(save_partial(turn, "of another server"));
  advance_s(600);
  auto reply = get(conversation, turn.reply.id);
  EXPECT_EQ(reply->status, MessageStatus::kInterrupted);
  EXPECT_EQ(reply->content, "ünd");
  auto recent = run_task(store().read_recent(alice_, conversation.id, newest(5), {}));
  EXPECT_EQ(recent->messages.size(), 2U);
  run_task(store().delete_message(alice_, conversation.id, turn.reply.id));
  EXPECT_THAT(contents(conversation), ElementsAre("prompt"));
}

TEST_P(StoreConformance, WhatWasSaidSoFarComesTooLateForAnAnswerThatDoesNotRun) {
  auto conversation = create(alice_);
  auto ended = start(conversation, "prompt");
  finish(ended, "whole");
  EXPECT_FALSE(save_partial(ended, "part"));
  EXPECT_EQ(get(conversation, ended.reply.id)->content, "whole");
  run_task(store().delete_message(alice_, conversation.id, ended.reply.id));
  EXPECT_FALSE(save_partial(ended, "part"));
  EXPECT_EQ(get(conversation, ended.reply.id), std::nullopt);

  auto lapsed = start(conversation, "prompt", 30);
  advance_s(30);
  EXPECT_FALSE(save_partial(lapsed, "part"));

  auto theirs = start(conversation, "prompt");
  EXPECT_FALSE(run_task(store().save_partial(bob_, conversation.id, theirs.reply)));
  auto unknown = theirs.reply;
  unknown.id = no_message_;
  EXPECT_FALSE(run_task(store().save_partial(alice_, conversation.id, unknown)));

  run_task(store().delete_conversation(alice_, conversation.id, {}));
  EXPECT_FALSE(save_partial(theirs, "part"));
  settle();
  EXPECT_EQ(stats().messages, 0U);
}

TEST_P(StoreConformance, APromptDeletedDuringItsTurnLeavesWhatWasSaidSoFar) {
  auto conversation = create(alice_);
  auto turn = start(conversation, "prompt");
  EXPECT_TRUE(save_partial(turn, "so"));
  run_task(store().delete_message(alice_, conversation.id, turn.prompt.id));
  EXPECT_THAT(contents(conversation), ElementsAre("so"));
  EXPECT_TRUE(save_partial(turn, "so far"));
  EXPECT_THAT(contents(conversation), ElementsAre("so far"));
  finish(turn, "whole");
  EXPECT_THAT(contents(conversation), ElementsAre("whole"));
  EXPECT_EQ(get(conversation)->message_count, 1U);
}

TEST_P(StoreConformance, ALongTextSoFarDoesNotHinderTheAnswer) {
  auto conversation = create(alice_);
  auto turn = start(conversation, "prompt");
  EXPECT_TRUE(save_partial(turn, "so far"));
  EXPECT_TRUE(save_partial(turn, std::string(700'000, 'l')));
  auto seen = get(conversation, turn.reply.id)->content;
  EXPECT_TRUE(seen == "so far" || seen == std::string(700'000, 'l'));
  finish(turn, std::string(900'000, 'm'));
  EXPECT_EQ(get(conversation, turn.reply.id)->content, std::string(900'000, 'm'));
}

TEST_P(StoreConformance, FinishingTwiceIsFinishingOnce) {
  auto conversation = create(alice_);
  auto turn = start(conversation, "prompt");
  auto once = finish(turn, "answer");
  advance_s(5);
  EXPECT_EQ(finish(turn, "answer"), once);
  EXPECT_THAT(contents(conversation), ElementsAre("prompt", "answer"));
}

TEST_P(StoreConformance, AnAnswerIsInterruptedOnceItsServerIsGone) {
  auto conversation = create(alice_);
  auto turn = start(conversation, "prompt", 600);
  reopen();
  advance_s(600);
  EXPECT_EQ(get(conversation, turn.reply.id)->status, MessageStatus::kInterrupted);
  EXPECT_EQ(list(conversation).messages.back().status, MessageStatus::kInterrupted);
  EXPECT_EQ(get(conversation)->message_count, 2U);
  run_task(store().delete_message(alice_, conversation.id, turn.reply.id));
  EXPECT_THAT(contents(conversation), ElementsAre("prompt"));
}

TEST_P(StoreConformance, AnAnswerIsInterruptedOnceItsLeaseHasPassed) {
  auto conversation = create(alice_);
  auto turn = start(conversation, "prompt", 30);
  advance_s(29);
  EXPECT_EQ(get(conversation, turn.reply.id)->status, MessageStatus::kRunning);
  advance_s(1);
  EXPECT_EQ(get(conversation, turn.reply.id)->status, MessageStatus::kInterrupted);
  // It may still come.
  finish(turn, "late");
  EXPECT_EQ(get(conversation, turn.reply.id)->content, "late");
  EXPECT_EQ(get(conversation, turn.reply.id)->status, MessageStatus::kComplete);
}

TEST_P(StoreConformance, ARunningAnswerCannotBeDeletedAlone) {
  auto conversation = create(alice_);
  auto turn = start(conversation, "prompt");
  EXPECT_EQ(error_of(store().delete_message(alice_, conversation.id, turn.reply.id)),
            ErrorCode::kConflict);
  run_task(store().delete_message(alice_, conversation.id, turn.prompt.id));
  finish(turn, "answer");
  run_task(store().delete_message(alice_, conversation.id, turn.reply.id));
  EXPECT_EQ(get(conversation)->message_count, 0U);
}

TEST_P(StoreConformance, AConversationDeletedDuringATurnDoesNotComeBack) {
  auto conversation = create(alice_);
  auto turn = start(conversation, "prompt");
  run_task(store().delete_conversation(alice_, conversation.id, {}));
  auto reply = turn.reply;
  reply.status = MessageStatus::kComplete;
  reply.content = "too late";
  EXPECT_EQ(error_of(store().finish_turn(alice_, conversation.id, reply)), ErrorCode::kNotFound);
  settle();
  EXPECT_EQ(error_of(store().finish_turn(alice_, conversation.id, reply)), ErrorCode::kNotFound);
  EXPECT_EQ(get(conversation), std::nullopt);
  EXPECT_EQ(stats().messages, 0U);
}

TEST_P(StoreConformance, AConversationDoesNotExpireWhileAnAnswerIsMadeInIt) {
  auto conversation = create(alice_, "short", 60);
  auto turn = start(conversation, "prompt", 600);
  advance_s(599);
  settle();
  ASSERT_TRUE(get(conversation));
  EXPECT_EQ(get(conversation)->expires_at_s(), clock().now_s() + 1);
  EXPECT_EQ(get(conversation, turn.reply.id)->status, MessageStatus::kRunning);
  EXPECT_EQ(run_task(store().list_conversations(alice_, 5, {})).conversations.size(), 1U);
  EXPECT_EQ(finish(turn, "answer").expires_at_s(), clock().now_s() + 60);
  advance_s(59);
  settle();
  EXPECT_THAT(contents(conversation), ElementsAre("prompt", "answer"));
  advance_s(1);
  EXPECT_EQ(get(conversation), std::nullopt);
  settle();
  EXPECT_EQ(stats().conversations, 0U);
  EXPECT_EQ(stats().messages, 0U);
}

TEST_P(StoreConformance, AShortAnswerPutsTheExpiryOffByNoMoreThanOtherActivity) {
  auto conversation = create(alice_, "short", 60);
  finish(start(conversation, "prompt", 600), "answer");
  EXPECT_EQ(get(conversation)->expires_at_s(), clock().now_s() + 60);
  advance_s(60);
  EXPECT_EQ(get(conversation), std::nullopt);
  settle();
  EXPECT_EQ(stats().conversations, 0U);
}

TEST_P(StoreConformance, AnAnswerThatNeverComesHoldsItsConversationForItsLease) {
  auto conversation = create(alice_, "short", 60);
  auto turn = start(conversation, "prompt", 100);
  reopen();
  advance_s(99);
  settle();
  EXPECT_TRUE(get(conversation));
  advance_s(1);
  EXPECT_EQ(get(conversation), std::nullopt);
  auto reply = turn.reply;
  reply.status = MessageStatus::kComplete;
  EXPECT_EQ(error_of(store().finish_turn(alice_, conversation.id, reply)), ErrorCode::kNotFound);
  settle();
  EXPECT_EQ(stats().conversations, 0U);
}

TEST_P(StoreConformance, OfTurnsSideBySideNoneLosesItsAnswerToExpiry) {
  auto conversation = create(alice_, "short", 5);
  auto first = start(conversation, "1", 100);
  auto same = start(conversation, "2", 100);
  auto shorter = start(conversation, "3", 50);
  auto longer = start(conversation, "4", 200);
  finish(longer, "d");
  advance_s(49);
  settle();
  finish(shorter, "c");
  advance_s(45);
  settle();
  finish(first, "a");
  advance_s(5);
  settle();
  finish(same, "b");
  EXPECT_THAT(contents(conversation), ElementsAre("1", "a", "2", "b", "3", "c", "4", "d"));
  // Gone once the last lease is over, at the latest.
  advance_s(200);
  EXPECT_EQ(get(conversation), std::nullopt);
  settle();
  EXPECT_EQ(stats().conversations, 0U);
}

TEST_P(StoreConformance, ATimeToLiveSetDuringATurnWaitsForItsEnd) {
  auto conversation = create(alice_);
  auto turn = start(conversation, "prompt", 600);
  advance_s(100);
  ConversationPatch patch;
  patch.ttl_seconds = std::optional<std::int64_t>(10);
  run_task(store().update_conversation(alice_, conversation.id, patch, {}));
  advance_s(100);
  settle();
  EXPECT_EQ(finish(turn, "answer").expires_at_s(), clock().now_s() + 10);
  advance_s(10);
  EXPECT_EQ(get(conversation), std::nullopt);
}

TEST_P(StoreConformance, ARepeatedCreationReturnsTheConversationAsItIsByNow) {
  NewConversation fresh{"title", "", {}, std::nullopt};
  auto made = run_task(store().create_conversation(alice_, fresh, key("k")));
  append(made.conversation, "since then");
  reopen();
  auto again = run_task(store().create_conversation(alice_, fresh, key("k")));
  EXPECT_TRUE(again.replayed);
  EXPECT_EQ(again.conversation, get(made.conversation));
  EXPECT_EQ(again.conversation.message_count, 1U);
  EXPECT_EQ(stats().conversations, 1U);
}

TEST_P(StoreConformance, ARepeatedTurnReturnsTheAnswerAsItIsByNow) {
  NewTurn turn;
  turn.new_conversation = NewConversation{"title", "", {}, std::nullopt};
  turn.prompt.content = "prompt";
  turn.lease_until_s = clock().now_s() + 60;
  auto made = run_task(store().start_turn(alice_, turn, key("k")));
  auto running = run_task(store().start_turn(alice_, turn, key("k")));
  EXPECT_TRUE(running.replayed);
  EXPECT_EQ(running.prompt, made.prompt);
  EXPECT_EQ(running.reply, made.reply);
  finish(made, "answer");
  auto done = run_task(store().start_turn(alice_, turn, key("k")));
  EXPECT_TRUE(done.replayed);
  EXPECT_EQ(done.reply.content, "answer");
  EXPECT_EQ(done.reply.status, MessageStatus::kComplete);
  EXPECT_EQ(done.conversation, get(made.conversation));
  EXPECT_EQ(stats().messages, 2U);
}

TEST_P(StoreConformance, AKeyWithAnotherRequestIsRefusedByName) {
  auto conversation = create(alice_);
  NewMessage message;
  run_task(store().append_message(alice_, conversation.id, message, key("k", 1)));
  for (const char* field : {"Idempotency-Key", "client_message_id"}) {
    auto again = key("k", 2);
    again.field = field;
    try {
      run_task(store().append_message(alice_, conversation.id, message, again));
      FAIL() << "the second request was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalid);
      ASSERT_EQ(error.fields().size(), 1U);
      EXPECT_EQ(error.fields()[0].field, field);
    }
  }
  EXPECT_EQ(get(conversation)->message_count, 1U);
}

TEST_P(StoreConformance, AKeyIsOfTheConversationThatItsRequestNamed) {
  auto conversation = create(alice_);
  auto other = create(alice_);
  run_task(store().append_message(alice_, conversation.id, {}, key("message")));
  EXPECT_EQ(error_of(store().append_message(alice_, other.id, {}, key("message"))),
            ErrorCode::kInvalid);
  NewTurn turn;
  turn.conversation_id = conversation.id;
  run_task(store().start_turn(alice_, turn, key("turn")));
  turn.conversation_id = other.id;
  EXPECT_EQ(error_of(store().start_turn(alice_, turn, key("turn"))), ErrorCode::kInvalid);
  EXPECT_EQ(get(other)->message_count, 0U);
}

TEST_P(StoreConformance, KeysOfDifferentUsersAreApart) {
  auto first = run_task(store().create_conversation(alice_, {}, key("k", 1)));
  auto second = run_task(store().create_conversation(bob_, {}, key("k", 2)));
  EXPECT_FALSE(second.replayed);
  EXPECT_NE(first.conversation.id, second.conversation.id);
}

TEST_P(StoreConformance, ARepeatWhoseResultWasDeletedIsAConflict) {
  constexpr auto kConflict = ErrorCode::kConflict;
  auto made = run_task(store().create_conversation(alice_, {}, key("conversation")));
  auto id = made.conversation.id;
  auto message = run_task(store().append_message(alice_, id, {}, key("message")));
  run_task(store().delete_message(alice_, id, message.message.id));
  EXPECT_EQ(error_of(store().append_message(alice_, id, {}, key("message"))), kConflict);
  NewTurn turn;
  turn.conversation_id = id;
  auto started = run_task(store().start_turn(alice_, turn, key("turn")));
  finish(started, "answer");
  run_task(store().delete_message(alice_, id, started.reply.id));
  EXPECT_EQ(error_of(store().start_turn(alice_, turn, key("turn"))), kConflict);
  EXPECT_EQ(get(made.conversation)->message_count, 1U);
  run_task(store().delete_conversation(alice_, id, {}));
  EXPECT_EQ(error_of(store().create_conversation(alice_, {}, key("conversation"))), kConflict);
  settle();
  EXPECT_EQ(error_of(store().create_conversation(alice_, {}, key("conversation"))), kConflict);
  // Here the conversation that the call names is not there.
  EXPECT_EQ(error_of(store().append_message(alice_, id, {}, key("message"))), ErrorCode::kNotFound);
  EXPECT_EQ(error_of(store().start_turn(alice_, turn, key("turn"))), ErrorCode::kNotFound);
}

TEST_P(StoreConformance, ARepeatWhoseConversationIsGoneIsAConflictWhereItMadeIt) {
  NewTurn turn;
  turn.new_conversation.emplace();
  auto deleted = run_task(store().start_turn(alice_, turn, key("deleted")));
  run_task(store().delete_conversation(alice_, deleted.conversation.id, {}));
  EXPECT_EQ(error_of(store().start_turn(alice_, turn, key("deleted"))), ErrorCode::kConflict);
  NewConversation fresh;
  fresh.ttl_seconds = 60;
  run_task(store().create_conversation(alice_, fresh, key("expired")));
  advance_s(60);
  EXPECT_EQ(error_of(store().create_conversation(alice_, fresh, key("expired"))),
            ErrorCode::kConflict);
}

TEST_P(StoreConformance, ATurnIsFoundByItsKeyAsItIsByNow) {
  auto conversation = create(alice_);
  NewTurn turn;
  turn.conversation_id = conversation.id;
  turn.prompt.content = "prompt";
  turn.lease_until_s = clock().now_s() + 60;
  auto find = [&] { return run_task(store().find_turn(alice_, conversation.id, key("k"))); };
  EXPECT_FALSE(find());
  auto made = run_task(store().start_turn(alice_, turn, key("k")));
  auto running = find();
  ASSERT_TRUE(running);
  EXPECT_TRUE(running->replayed);
  EXPECT_EQ(known_at_once(running->conversation), known_at_once(made.conversation));
  EXPECT_EQ(running->prompt, made.prompt);
  EXPECT_EQ(running->reply, made.reply);
  finish(made, "answer");
  reopen();
  EXPECT_EQ(find()->reply.content, "answer");
  EXPECT_EQ(find()->conversation, get(conversation));
  EXPECT_EQ(stats().messages, 2U);
  advance_s(limits::kIdempotencySeconds);
  EXPECT_FALSE(find());
}

TEST_P(StoreConformance, ATurnThatMadeItsConversationIsFoundByItsKey) {
  NewTurn turn;
  turn.new_conversation.emplace();
  auto made = run_task(store().start_turn(alice_, turn, key("k")));
  auto found = run_task(store().find_turn(alice_, std::nullopt, key("k")));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->reply, made.reply);
  EXPECT_FALSE(run_task(store().find_turn(bob_, std::nullopt, key("k"))));
}

TEST_P(StoreConformance, FindingATurnFailsAsItsRepeatWould) {
  auto conversation = create(alice_);
  auto other = create(alice_);
  NewTurn turn;
  turn.conversation_id = conversation.id;
  auto made = run_task(store().start_turn(alice_, turn, key("k", 1)));
  auto find = [&](const ConversationId& id, std::uint8_t fingerprint) {
    return error_of(store().find_turn(alice_, id, key("k", fingerprint)));
  };
  EXPECT_EQ(find(conversation.id, 1), std::nullopt);
  EXPECT_EQ(find(conversation.id, 2), ErrorCode::kInvalid);
  EXPECT_EQ(find(other.id, 1), ErrorCode::kInvalid);
  EXPECT_EQ(find(no_conversation_, 1), ErrorCode::kNotFound);
  EXPECT_EQ(error_of(store().find_turn(bob_, conversation.id, key("k"))), ErrorCode::kNotFound);
  finish(made, "answer");
  run_task(store().delete_message(alice_, conversation.id, made.prompt.id));
  EXPECT_EQ(find(conversation.id, 1), ErrorCode::kConflict);
  run_task(store().delete_conversation(alice_, conversation.id, {}));
  EXPECT_EQ(find(conversation.id, 1), ErrorCode::kNotFound);

  turn.conversation_id.reset();
  turn.new_conversation.emplace();
  auto born = run_task(store().start_turn(alice_, turn, key("born")));
  run_task(store().delete_conversation(alice_, born.conversation.id, {}));
  EXPECT_EQ(error_of(store().find_turn(alice_, {}, key("born"))), ErrorCode::kConflict);
}

TEST_P(StoreConformance, AKeyIsForgottenAfterItsTime) {
  auto first = run_task(store().create_conversation(alice_, {}, key("k", 1)));
  auto kept = run_task(store().create_conversation(alice_, {}, key("kept", 1)));
  advance_s(limits::kIdempotencySeconds);
  auto second = run_task(store().create_conversation(alice_, {}, key("k", 2)));
  EXPECT_FALSE(second.replayed);
  EXPECT_NE(second.conversation.id, first.conversation.id);
  settle();  // removes the old record of "kept", not the new one of "k"
  EXPECT_TRUE(run_task(store().create_conversation(alice_, {}, key("k", 2))).replayed);
  EXPECT_FALSE(run_task(store().create_conversation(alice_, {}, key("kept", 2))).replayed);
}

TEST_P(StoreConformance, AWriteThatIsRefusedDoesNotUseItsKeyUp) {
  NewMessage message;
  EXPECT_EQ(error_of(store().append_message(alice_, no_conversation_, message, key("k"))),
            ErrorCode::kNotFound);
  auto conversation = create(alice_);
  EXPECT_FALSE(
      run_task(store().append_message(alice_, conversation.id, message, key("k"))).replayed);
}

}  // namespace
}  // namespace colloquy::store
