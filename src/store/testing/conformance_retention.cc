// The server's retention, and temporary conversations.
#include <gmock/gmock.h>

#include "store/testing/conformance.h"

namespace colloquy::store {
namespace {

TEST_P(StoreConformance, TheRetentionIsTheTimeToLiveOfWhatHasNone) {
  reopen_retaining(60);
  auto usual = create(alice_, "usual");
  auto longer = create(alice_, "longer", 100);
  auto shorter = create(alice_, "shorter", 10);
  auto message = append(usual, "hello");
  EXPECT_EQ(get(usual)->ttl_seconds, std::nullopt);
  EXPECT_EQ(get(usual)->expires_at_s(), clock().now_s() + 60);
  EXPECT_EQ(longer.expires_at_s(), clock().now_s() + 100);
  advance_s(10);
  EXPECT_EQ(get(shorter), std::nullopt);
  advance_s(49);
  EXPECT_TRUE(get(usual));
  advance_s(1);
  EXPECT_EQ(get(usual), std::nullopt);
  EXPECT_EQ(get(usual, message.id), std::nullopt);
  EXPECT_EQ(error_of(store().append_message(alice_, usual.id, {}, {})), ErrorCode::kNotFound);
  EXPECT_EQ(error_of(store().list_messages(alice_, usual.id, {})), ErrorCode::kNotFound);
  auto listed = run_task(store().list_conversations(alice_, 10, std::nullopt));
  ASSERT_EQ(listed.conversations.size(), 1U);
  EXPECT_EQ(listed.conversations[0].id, longer.id);
  EXPECT_EQ(run_task(store().list_by_activity(alice_, 10, {})).conversations.size(), 1U);
  settle();
  EXPECT_EQ(stats().conversations, 1U);
  EXPECT_EQ(stats().messages, 0U);
}

TEST_P(StoreConformance, UnderARetentionActivityPutsTheExpiryOff) {
  reopen_retaining(60);
  auto conversation = create(alice_);
  for (int i = 0; i < 5; ++i) {
    advance_s(50);
    append(conversation, "still here");
    settle();
    ASSERT_EQ(contents(conversation).size(), static_cast<std::size_t>(i + 1));
  }
  advance_s(60);
  EXPECT_EQ(get(conversation), std::nullopt);
}

TEST_P(StoreConformance, ARetentionHoldsForWhatStoodBeforeIt) {
  auto old = create(alice_, "old");
  append(old, "1");
  append(old, "2");
  advance_s(100);
  auto recent = create(alice_, "recent");
  append(recent, "3");
  reopen_retaining(60);
  EXPECT_EQ(get(old), std::nullopt);
  EXPECT_TRUE(get(recent));
  settle();
  EXPECT_EQ(stats().conversations, 1U);
  EXPECT_EQ(stats().messages, 1U);
  advance_s(60);
  EXPECT_EQ(get(recent), std::nullopt);
  settle();
  EXPECT_EQ(stats().conversations, 0U);
  EXPECT_EQ(stats().messages, 0U);
}

TEST_P(StoreConformance, WithoutTheRetentionNothingIsRemovedForIt) {
  reopen_retaining(60);
  auto conversation = create(alice_);
  append(conversation, "1");
  auto own = create(alice_, "own", 100);
  advance_s(59);
  reopen_retaining(std::nullopt);
  settle();
  EXPECT_EQ(get(conversation)->expires_at_s(), std::nullopt);
  advance_s(10'000);
  settle();
  EXPECT_EQ(contents(conversation).size(), 1U);
  EXPECT_EQ(get(own), std::nullopt);
  EXPECT_EQ(stats().conversations, 1U);
  EXPECT_EQ(stats().messages, 1U);
  // What stands while there is none is expired by the next one.
  reopen_retaining(60);
  EXPECT_EQ(get(conversation), std::nullopt);
  settle();
  EXPECT_EQ(stats().conversations, 0U);
}

TEST_P(StoreConformance, AnotherRetentionMovesTheExpiry) {
  reopen_retaining(60);
  auto conversation = create(alice_);
  append(conversation, "1");
  reopen_retaining(1000);
  settle();
  advance_s(500);
  settle();
  EXPECT_EQ(contents(conversation).size(), 1U);
  EXPECT_EQ(stats().messages, 1U);
  auto later = create(alice_);
  append(later, "2");
  reopen_retaining(100);
  EXPECT_EQ(get(conversation), std::nullopt);
  EXPECT_TRUE(get(later));
  settle();
  EXPECT_EQ(stats().conversations, 1U);
  advance_s(100);
  EXPECT_EQ(get(later), std::nullopt);
  settle();
  EXPECT_EQ(stats().conversations, 0U);
}

TEST_P(StoreConformance, UnderARetentionNoAnswerIsLostToExpiry) {
  reopen_retaining(60);
  auto conversation = create(alice_);
  auto turn = start(conversation, "prompt");
  advance_s(300);
  settle();
  ASSERT_TRUE(get(conversation));
  EXPECT_EQ(finish(turn, "answer").expires_at_s(), clock().now_s() + 60);
  advance_s(59);
  settle();
  EXPECT_EQ(contents(conversation).size(), 2U);
  advance_s(1);
  EXPECT_EQ(get(conversation), std::nullopt);
  settle();
  EXPECT_EQ(stats().conversations, 0U);
}

TEST_P(StoreConformance, UnderARetentionATimeToLiveCanBeSetAndTakenAway) {
  reopen_retaining(60);
  auto conversation = create(alice_);
  ConversationPatch patch;
  patch.ttl_seconds = std::optional<std::int64_t>(1000);
  run_task(store().update_conversation(alice_, conversation.id, patch, {}));
  advance_s(500);
  settle();
  ASSERT_TRUE(get(conversation));
  append(conversation, "1");
  patch.ttl_seconds.emplace(std::nullopt);
  auto changed = run_task(store().update_conversation(alice_, conversation.id, patch, {}));
  EXPECT_EQ(changed.expires_at_s(), clock().now_s() + 60);
  settle();
  advance_s(60);
  EXPECT_EQ(get(conversation), std::nullopt);
  settle();
  EXPECT_EQ(stats().conversations, 0U);
}

TEST_P(StoreConformance, WhatExpiredByTheRetentionDoesNotComeBackByARepeat) {
  reopen_retaining(60);
  NewConversation fresh{"title", "", {}, {}};
  auto made = run_task(store().create_conversation(alice_, fresh, key("made")));
  NewTurn turn;
  turn.new_conversation.emplace();
  turn.prompt.content = "prompt";
  auto started = run_task(store().start_turn(alice_, turn, key("turn")));
  finish(started, "answer");
  advance_s(61);
  EXPECT_EQ(error_of(store().create_conversation(alice_, fresh, key("made"))),
            ErrorCode::kConflict);
  EXPECT_EQ(error_of(store().start_turn(alice_, turn, key("turn"))), ErrorCode::kConflict);
  settle();
  EXPECT_EQ(error_of(store().create_conversation(alice_, fresh, key("made"))),
            ErrorCode::kConflict);
  EXPECT_EQ(error_of(store().start_turn(alice_, turn, key("turn"))), ErrorCode::kConflict);
  EXPECT_EQ(stats().conversations, 0U);
}

TEST_P(StoreConformance, ATemporaryConversationIsOneUntilItHasNoTimeToLive) {
  NewConversation fresh{"title", "", {}, 100, {}, true};
  auto conversation = run_task(store().create_conversation(alice_, fresh, std::nullopt));
  EXPECT_TRUE(conversation.conversation.temporary);
  reopen();
  EXPECT_TRUE(get(conversation.conversation)->temporary);
  ConversationPatch patch;
  patch.ttl_seconds.emplace(std::nullopt);
  auto id = conversation.conversation.id;
  EXPECT_FALSE(run_task(store().update_conversation(alice_, id, patch, {})).temporary);
  EXPECT_FALSE(get(conversation.conversation)->temporary);
  patch.ttl_seconds = std::optional<std::int64_t>(50);
  patch.temporary = true;
  EXPECT_TRUE(run_task(store().update_conversation(alice_, id, patch, {})).temporary);
  EXPECT_TRUE(get(conversation.conversation)->temporary);
}

TEST_P(StoreConformance, AnOldConversationThatIsMadeTemporaryDoesNotGoAtThatMoment) {
  auto conversation = create(alice_);
  append(conversation, "1");
  advance_s(10'000);
  ConversationPatch patch;
  patch.ttl_seconds = std::optional<std::int64_t>(50);
  patch.temporary = true;
  auto changed = run_task(store().update_conversation(alice_, conversation.id, patch, {}));
  EXPECT_EQ(changed.expires_at_s(), clock().now_s() + 50);
  EXPECT_EQ(contents(conversation).size(), 1U);
  advance_s(50);
  EXPECT_FALSE(get(conversation));
}

}  // namespace
}  // namespace colloquy::store
