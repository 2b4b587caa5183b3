#include "store/dynamodb/dynamodb_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "store/dynamodb/dynamodb_harness.h"

namespace colloquy::store {
namespace {

INSTANTIATE_TEST_SUITE_P(DynamoDb, StoreConformance,
                         testing::Values(StoreFactory{
                             "Local", [] { return std::make_unique<DynamoDbHarness>(); }}),
                         store_factory_name);

class DynamoDbStoreTest : public testing::Test {
 protected:
  Conversation create(std::optional<std::int64_t> ttl_seconds = std::nullopt) {
    NewConversation fresh{"title", "", {}, ttl_seconds};
    return run_task(store_->create_conversation(alice_, fresh, std::nullopt)).conversation;
  }
  Message append(const Conversation& conversation, std::string content) {
    NewMessage message{Role::kUser, std::move(content), {}, ""};
    return run_task(store_->append_message(alice_, conversation.id, message, std::nullopt)).message;
  }
  MessagePage list(const Conversation& conversation) {
    return run_task(store_->list_messages(alice_, conversation.id, {}));
  }
  void advance_s(std::int64_t seconds) { harness_.clock().advance_ms(seconds * 1000); }
  // Every row of the table of messages.
  std::vector<boost::json::object> rows() {
    return run_task(harness_.rows(harness_.options().tables.messages));
  }
  // The removal times of all messages.
  std::vector<std::int64_t> removals() {
    std::vector<std::int64_t> times;
    for (const auto& row : rows()) {
      dynamodb::AttributeReader from(row);
      if (from.number("timestamp")) times.push_back(from.number("ttl").value_or(0) - kStart);
    }
    std::sort(times.begin(), times.end());
    return times;
  }

  // That of the one conversation, which expires so long after the start; -kStart: none.
  static std::int64_t removal_after(std::int64_t expires, std::int64_t lifetime) {
    return dynamodb::conversation_removal_s(lifetime, expires);
  }
  std::int64_t conversation_removal() {
    auto found = run_task(harness_.rows(harness_.options().tables.conversations));
    return dynamodb::AttributeReader(found.at(0)).number("ttl").value_or(0) - kStart;
  }

  static constexpr std::int64_t kStart = 1'700'000'000;
  DynamoDbHarness harness_;
  std::unique_ptr<DynamoDbStore> store_ = harness_.open_dynamodb();
  const UserId alice_{"alice"};
};

TEST_F(DynamoDbStoreTest, AConversationThatSaysNothingOfItsVersionIsDeletedAtTheVersionZero) {
  auto conversation = create();
  boost::json::object key{{"user_id", {{"S", "alice"}}},
                          {"conversation_id", {{"S", conversation.id.to_string()}}}};
  harness_.update(harness_.options().tables.conversations, std::move(key), "REMOVE version");
  EXPECT_EQ(run_task(store_->get_conversation(alice_, conversation.id))->version, 0U);
  run_task(store_->delete_conversation(alice_, conversation.id, 0));
  EXPECT_FALSE(run_task(store_->get_conversation(alice_, conversation.id)));
}

TEST_F(DynamoDbStoreTest, AMessageThatNoItemCanHoldComesBackWhole) {
  auto conversation = create();
  std::string content;
  while (content.size() < 1'000'000) content += "Zwölf Boxkämpfer \"jagen\" 🦊 … ";
  auto message = append(conversation, content);
  append(conversation, "after");
  EXPECT_EQ(run_task(store_->get_message(alice_, conversation.id, message.id))->content, content);
  EXPECT_EQ(list(conversation).messages[0].content, content);
  auto recent = run_task(store_->read_recent(alice_, conversation.id, newest(5), {}));
  EXPECT_EQ(recent->messages[0].content, content);
  EXPECT_EQ(rows().size(), 2U + 4U);
  run_task(store_->delete_message(alice_, conversation.id, message.id));
  EXPECT_EQ(rows().size(), 1U);
}

TEST_F(DynamoDbStoreTest, ALongAnswerOfADeletedConversationLeavesNothing) {
  auto conversation = create();
  NewTurn turn;
  turn.conversation_id = conversation.id;
  turn.prompt.content = "prompt";
  turn.lease_until_s = harness_.clock().now_s() + 600;
  auto started = run_task(store_->start_turn(alice_, turn, std::nullopt));
  run_task(store_->delete_conversation(alice_, conversation.id, std::nullopt));
  run_task(store_->settle_now());
  auto reply = started.reply;
  reply.status = MessageStatus::kComplete;
  reply.content = std::string(900'000, 'x');
  EXPECT_EQ(error_of(store_->finish_turn(alice_, conversation.id, reply)), ErrorCode::kNotFound);
  for (const auto& row : rows()) {
    EXPECT_TRUE(dynamodb::AttributeReader(row).string("conversation_id")->starts_with("purge#"));
  }
  advance_s(3600);
  run_task(store_->settle_now());
  EXPECT_TRUE(rows().empty());
}

TEST_F(DynamoDbStoreTest, ALivingConversationKeepsItsMessagesPastTheirFirstRemovalTime) {
  auto conversation = create(100);
  append(conversation, "1");
  EXPECT_THAT(removals(), testing::ElementsAre(200));
  advance_s(60);
  append(conversation, "2");
  run_task(store_->settle_now());
  EXPECT_THAT(removals(), testing::ElementsAre(200, 260));  // not time yet
  advance_s(60);
  append(conversation, "3");
  run_task(store_->settle_now());
  EXPECT_THAT(removals(), testing::ElementsAre(320, 320, 320));
}

TEST_F(DynamoDbStoreTest, AnotherTimeToLiveIsAnotherRemovalTimeOfEveryMessage) {
  auto conversation = create();
  append(conversation, "1");
  EXPECT_THAT(removals(), testing::ElementsAre(-kStart));  // none
  ConversationPatch patch;
  patch.ttl_seconds = std::optional<std::int64_t>(50);
  run_task(store_->update_conversation(alice_, conversation.id, patch, std::nullopt));
  run_task(store_->settle_now());
  EXPECT_THAT(removals(), testing::ElementsAre(100));
  patch.ttl_seconds.emplace(std::nullopt);
  run_task(store_->update_conversation(alice_, conversation.id, patch, std::nullopt));
  run_task(store_->settle_now());
  EXPECT_THAT(removals(), testing::ElementsAre(-kStart));
}

TEST_F(DynamoDbStoreTest, WhatIsWrittenUnderARetentionIsRemovedByTheService) {
  store_.reset();
  harness_.retain(100);
  store_ = harness_.open_dynamodb();
  auto conversation = create();
  append(conversation, "1");
  EXPECT_EQ(conversation_removal(), removal_after(100, 100));
  EXPECT_THAT(removals(), testing::ElementsAre(200));
  advance_s(60);
  append(conversation, "2");
  run_task(store_->settle_now());
  EXPECT_EQ(conversation_removal(), removal_after(160, 100));
  EXPECT_THAT(removals(), testing::ElementsAre(200, 260));  // not time yet
  advance_s(60);
  append(conversation, "3");
  run_task(store_->settle_now());
  EXPECT_EQ(conversation_removal(), removal_after(220, 100));
  EXPECT_THAT(removals(), testing::ElementsAre(320, 320, 320));
}

TEST_F(DynamoDbStoreTest, AnotherRetentionGivesAllTheirNewRemovalTimes) {
  auto conversation = create();
  append(conversation, "1");
  EXPECT_EQ(conversation_removal(), -kStart);  // none
  advance_s(10);
  auto change_to = [this](std::optional<std::int64_t> seconds) {
    store_.reset();
    harness_.retain(seconds);
    store_ = harness_.open_dynamodb();
    run_task(store_->settle_now());
  };
  change_to(100);
  EXPECT_EQ(conversation_removal(), removal_after(100, 100));
  EXPECT_THAT(removals(), testing::ElementsAre(210));
  change_to(1000);
  EXPECT_EQ(conversation_removal(), removal_after(1000, 1000));
  EXPECT_THAT(removals(), testing::ElementsAre(2010));
  change_to(100);
  EXPECT_EQ(conversation_removal(), removal_after(100, 100));
  EXPECT_THAT(removals(), testing::ElementsAre(210));
  change_to(std::nullopt);
  EXPECT_EQ(conversation_removal(), -kStart);
  EXPECT_THAT(removals(), testing::ElementsAre(-kStart));
}

TEST_F(DynamoDbStoreTest, ATurnEndsWithTheTimeToLiveThatWasTakenAwayMeanwhile) {
  auto conversation = create(100);
  NewTurn turn;
  turn.conversation_id = conversation.id;
  turn.prompt.content = "prompt";
  turn.lease_until_s = harness_.clock().now_s() + 600;
  auto started = run_task(store_->start_turn(alice_, turn, std::nullopt));
  ConversationPatch patch;
  patch.ttl_seconds.emplace(std::nullopt);
  run_task(store_->update_conversation(alice_, conversation.id, patch, std::nullopt));
  run_task(store_->settle_now());
  auto reply = started.reply;
  reply.status = MessageStatus::kComplete;
  reply.content = "answer";
  run_task(store_->finish_turn(alice_, conversation.id, reply));
  run_task(store_->settle_now());
  EXPECT_EQ(conversation_removal(), -kStart);
  EXPECT_THAT(removals(), testing::ElementsAre(-kStart, -kStart));
}

TEST(DynamoDbUpdatedIndex, ListsTheLastActiveFirst) {
  dynamodb::TableOptions tables;
  tables.updated_index = true;
  DynamoDbHarness harness(tables);
  auto store = harness.open_dynamodb();
  const UserId alice("alice");
  std::vector<ConversationId> made;
  for (int i = 0; i < 5; ++i) {
    auto fresh = run_task(store->create_conversation(alice, {}, std::nullopt));
    made.push_back(fresh.conversation.id);
    harness.clock().advance_ms(1000);
  }
  run_task(store->append_message(alice, made[0], {}, std::nullopt));
  std::vector<ConversationId> listed;
  std::optional<ActivityPosition> after;
  do {
    auto page = run_task(store->list_by_activity(alice, 2, after));
    for (const auto& conversation : page.conversations) listed.push_back(conversation.id);
    after = page.next;
  } while (after);
  EXPECT_THAT(listed, testing::ElementsAre(made[0], made[4], made[3], made[2], made[1]));
}

}  // namespace
}  // namespace colloquy::store
