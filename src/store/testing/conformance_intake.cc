// Whole conversations that are taken back (store/intake.h).
#include <gmock/gmock.h>

#include "base/side_by_side.h"
#include "store/intake.h"
#include "store/testing/conformance.h"

namespace colloquy::store {
namespace {

struct Taken {
  Conversation conversation;
  std::vector<Message> messages;
};

// A prompt with two answers, the first of them active.
Taken example(const UserId& user, std::int64_t time_s) {
  Taken taken;
  auto& conversation = taken.conversation;
  conversation.user_id = user;
  conversation.id = ConversationId(Uuid::make_v7(time_s * 1000, 7, 7));
  conversation.title = "taken";
  conversation.created_at_s = time_s;
  conversation.updated_at_s = time_s;
  conversation.version = 1;
  conversation.metadata = {{"k", std::string(1000, 'v')}};
  auto id = MessageId(Uuid::make_v7(time_s * 1000, 8, 8));
  for (const auto* content : {"prompt", "first", "second"}) {
    Message message;
    message.attachments = {content};
    message.id = id;
    message.content = content;
    message.role = taken.messages.empty() ? Role::kUser : Role::kAssistant;
    message.timestamp_s = time_s;
    taken.messages.push_back(message);
    id = id.successor();
  }
  taken.messages[2].branch = 1;
  taken.messages[2].content = std::string(700'000, 'x');
  conversation.tree.branches = {{0, taken.messages[0].id, taken.messages[2].id}};
  activate(conversation.tree, 0, taken.messages[1].id);
  return taken;
}

TEST_P(StoreConformance, ATakenConversationIsThereOnceAndGoesOnAsAny) {
  auto& intake = dynamic_cast<Intake&>(store());
  auto old = example(alice_, 1'600'000'000);
  EXPECT_TRUE(run_task(intake.take(old.conversation, old.messages)));
  EXPECT_FALSE(run_task(intake.take(old.conversation, old.messages)));
  auto found = get(old.conversation);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->message_count, 3U);
  EXPECT_EQ(found->created_at_s, 1'600'000'000);
  EXPECT_EQ(found->metadata, old.conversation.metadata);
  EXPECT_THAT(contents(old.conversation), testing::ElementsAre("prompt", "first"));
  EXPECT_THAT(tree(old.conversation),
              testing::ElementsAre("prompt<", "first<prompt", old.messages[2].content + "<prompt"));
  reopen();
  EXPECT_FALSE(run_task(dynamic_cast<Intake&>(store()).take(old.conversation, old.messages)));
  finish(start(old.conversation, "and on"), "it goes");
  EXPECT_THAT(contents(old.conversation),
              testing::ElementsAre("prompt", "first", "and on", "it goes"));
  EXPECT_EQ(stats().conversations, 1U);
  EXPECT_EQ(stats().messages, 5U);
  auto fresh = create(alice_, "fresh");
  EXPECT_EQ(fresh.id.uuid().unix_ms(), clock().now_ms());
}

TEST_P(StoreConformance, ATakenConversationCanBeDeletedAndTakenAgain) {
  auto old = example(alice_, 1'600'000'000);
  auto take = [&] {
    return run_task(dynamic_cast<Intake&>(store()).take(old.conversation, old.messages));
  };
  EXPECT_TRUE(take());
  append(old.conversation, "one more");
  run_task(store().delete_conversation(alice_, old.conversation.id, {}));
  EXPECT_THROW(take(), Error);
  settle();
  advance_s(3600);
  settle();
  EXPECT_TRUE(take());
  EXPECT_THAT(contents(old.conversation), testing::ElementsAre("prompt", "first"));
  EXPECT_EQ(stats().messages, 3U);
}

TEST_P(StoreConformance, ATakenConversationExpiresByTheRetention) {
  reopen_retaining(60);
  auto old = example(alice_, clock().now_s() - 50);
  auto older = example(alice_, clock().now_s() - 70);
  auto& intake = dynamic_cast<Intake&>(store());
  EXPECT_TRUE(run_task(intake.take(old.conversation, old.messages)));
  EXPECT_EQ(error_of(intake.take(older.conversation, older.messages)), ErrorCode::kConflict);
  EXPECT_TRUE(get(old.conversation));
  EXPECT_FALSE(get(older.conversation));
  advance_s(10);
  EXPECT_FALSE(get(old.conversation));
  // Not removed yet.
  EXPECT_EQ(error_of(intake.take(old.conversation, old.messages)), ErrorCode::kConflict);
  settle();
  EXPECT_EQ(stats().conversations, 0U);
  EXPECT_EQ(stats().messages, 0U);
}

TEST_P(StoreConformance, ATakenConversationWasActiveNowAtTheLatest) {
  auto ahead = example(alice_, clock().now_s() + 1'000'000);
  EXPECT_TRUE(run_task(dynamic_cast<Intake&>(store()).take(ahead.conversation, ahead.messages)));
  EXPECT_EQ(get(ahead.conversation)->updated_at_s, clock().now_s());
  EXPECT_EQ(get(ahead.conversation)->created_at_s, clock().now_s());
}

Task<bool> append_to(Store& store, Conversation to) {
  NewMessage message;
  message.content = "elsewhere";
  co_await store.append_message(to.user_id, to.id, std::move(message), {});
  co_return true;
}

Task<bool> remove(Store& store, Conversation conversation) {
  co_await store.delete_conversation(conversation.user_id, conversation.id, {});
  co_return true;
}

Task<bool> take_unless_deleted(Store& store, Taken taken) {
  try {
    co_return co_await dynamic_cast<Intake&>(store).take(taken.conversation, taken.messages);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kConflict) throw;
  }
  co_return false;
}

TEST_P(StoreConformance, WhatIsTakenBesideItsDeletionIsThereWholeOrNotAtAll) {
  auto other = create(alice_, "other");
  for (int i = 0; i < 20; ++i) {
    auto taken = example(alice_, 1'600'000'000 + i);
    taken.messages.pop_back();
    taken.conversation.tree = {};
    ASSERT_TRUE(run_task(take_unless_deleted(store(), taken)));
    // They begin from the last to the first. The append keeps a store busy, so that the other two
    // may be of one commit.
    auto both =
        side_by_side(take_unless_deleted(store(), taken), remove(store(), taken.conversation));
    auto done = run_task(side_by_side(std::move(both), append_to(store(), other)));
    bool there = done.first.first;
    settle();
    EXPECT_EQ(get(taken.conversation).has_value(), there);
    if (there) {
      ASSERT_EQ(contents(taken.conversation).size(), 2U);
    }
  }
}

}  // namespace
}  // namespace colloquy::store
