// The retention on servers that are replaced one by one, and beside what they do meanwhile.
#include <gmock/gmock.h>

#include "store/dynamodb/dynamodb_harness.h"
#include "store/dynamodb/faulty_service_harness.h"

namespace colloquy::store {
namespace {

using dynamodb::FaultyService;

class RetentionTest : public testing::Test {
 protected:
  std::unique_ptr<DynamoDbStore> open(std::optional<std::int64_t> retention) {
    harness_.retain(retention);
    return harness_.open_dynamodb();
  }
  Conversation create(DynamoDbStore& store) {
    return run_task(store.create_conversation(alice_, {"title", "", {}, {}}, std::nullopt))
        .conversation;
  }
  void append(DynamoDbStore& store, const Conversation& to) {
    NewMessage message;
    message.content = "message";
    run_task(store.append_message(alice_, to.id, message, std::nullopt));
  }
  void advance_s(std::int64_t seconds) { harness_.clock().advance_ms(seconds * 1000); }
  // How many rows of both tables, records of ours aside, the service removes at some time.
  std::size_t doomed() {
    std::size_t count = 0;
    const auto& tables = harness_.options().tables;
    for (const auto& table : {tables.conversations, tables.messages}) {
      for (const auto& row : run_task(harness_.rows(table))) {
        if (dynamodb::AttributeReader(row).number("ttl")) ++count;
      }
    }
    return count;
  }

  static constexpr std::int64_t kDay = 86'400;
  const UserId alice_{"alice"};
  DynamoDbHarness harness_;
};

TEST_F(RetentionTest, WhatAnOldServerWritesAfterItWasTakenOffIsKeptToo) {
  auto old = open(30 * kDay);
  auto conversation = create(*old);
  append(*old, conversation);
  auto current = open(std::nullopt);
  run_task(current->settle_now());
  EXPECT_EQ(doomed(), 0U);
  append(*old, conversation);
  auto later = create(*old);
  append(*old, later);
  EXPECT_GT(doomed(), 0U);
  run_task(current->settle_now());  // not yet
  EXPECT_GT(doomed(), 0U);
  advance_s(3600);
  run_task(current->settle_now());
  EXPECT_EQ(doomed(), 0U);
  append(*old, later);
  advance_s(kDay);
  run_task(current->settle_now());
  EXPECT_EQ(doomed(), 0U);
}

TEST_F(RetentionTest, ShorterThanAnHourItIsLookedAfterSooner) {
  auto old = open(1000);
  auto current = open(std::nullopt);
  run_task(current->settle_now());
  create(*old);
  advance_s(500);
  run_task(current->settle_now());
  EXPECT_EQ(doomed(), 0U);
}

TEST_F(RetentionTest, AServerThatFindsAnotherOneLeavesItForADay) {
  auto old = open(30 * kDay);
  auto current = open(std::nullopt);
  create(*old);
  run_task(current->settle_now());
  EXPECT_EQ(doomed(), 0U);
  run_task(old->settle_now());
  EXPECT_EQ(doomed(), 0U);
  // No server of the other setting is left, it seems.
  advance_s(kDay + 3600);
  run_task(old->settle_now());
  run_task(old->settle_now());
  EXPECT_EQ(doomed(), 1U);
}

TEST_F(RetentionTest, ATurnThatBeginsBesideThePassKeepsItsConversation) {
  // Within the pass, and a little beyond.
  for (std::size_t call = 1; call <= 5; ++call) {
    auto plain = open(std::nullopt);
    auto conversation = create(*plain);
    append(*plain, conversation);
    advance_s(50);
    FaultyService service(std::getenv("COLLOQUY_TEST_DYNAMODB"));  // NOLINT(concurrency-mt-unsafe)
    auto client = harness_.connect(service.url());
    auto other = open(60);
    auto current = harness_.open_dynamodb(*client);
    bool begun = false;
    // It would have expired a moment after that.
    service.interrupt(call, [&] {
      begun = true;
      NewTurn turn;
      turn.conversation_id = conversation.id;
      turn.prompt.content = "prompt";
      turn.lease_until_s = harness_.clock().now_s() + 600;
      run_task(other->start_turn(alice_, turn, std::nullopt));
      advance_s(20);
    });
    run_task(current->settle_now());
    auto page = run_task(other->list_messages(alice_, conversation.id, {}));
    ASSERT_EQ(page.messages.size(), begun ? 3U : 1U) << "call " << call;
    run_task(other->delete_conversation(alice_, conversation.id, {}));
  }
}

TEST_F(RetentionTest, ADamagedConversationHoldsUpNoOther) {
  auto plain = open(std::nullopt);
  for (int i = 0; i < 3; ++i) create(*plain);
  auto damaged = create(*plain);
  run_task(harness_.client().call(
      "UpdateItem", R"({"TableName":")" + harness_.options().tables.conversations +
                        R"(","Key":{"user_id":{"S":"alice"},"conversation_id":{"S":")" +
                        damaged.id.to_string() +
                        R"("}},"UpdateExpression":"SET created_at = :x",)"
                        R"("ExpressionAttributeValues":{":x":{"S":"no time"}}})"));
  run_task(open(1000)->settle_now());
  EXPECT_EQ(doomed(), 3U);
}

}  // namespace
}  // namespace colloquy::store
