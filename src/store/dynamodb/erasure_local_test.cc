// Users who are erased by one of several servers.
#include <gmock/gmock.h>

#include "base/boot_clock.h"
#include "base/error.h"
#include "store/dynamodb/dynamodb_harness.h"
#include "store/dynamodb/faulty_service_harness.h"

namespace colloquy::store {
namespace {

using dynamodb::FaultyService;
using Left = Erasures::Left;

class ErasureTest : public testing::Test {
 protected:
  Erasure begin(DynamoDbStore& server) {
    run_task(server.begin_erasure(alice_));
    return look(server);
  }
  static Erasure look(DynamoDbStore& server) {
    auto unfinished = run_task(server.unfinished_erasures());
    EXPECT_EQ(unfinished.size(), 1U);
    return unfinished.empty() ? Erasure() : unfinished.front();
  }
  static bool claims(DynamoDbStore& server, const Erasure& erasure) {
    return run_task(server.claim_erasure(erasure));
  }
  static void end(DynamoDbStore& server, const Erasure& erasure) {
    auto left = Left::kMore;
    for (int i = 0; i < 100 && left == Left::kMore; ++i) {
      left = run_task(server.erase_some(erasure));
    }
    EXPECT_EQ(left, Left::kNothing);
    run_task(server.end_erasure(erasure, run_task(server.seal_erasure(erasure))));
  }
  Conversation make() { return run_task(one_->create_conversation(alice_, {}, {})).conversation; }
  std::size_t conversations() {
    return run_task(one_->list_conversations(alice_, 10, {})).conversations.size();
  }

  std::vector<boost::json::object> rows() {
    return run_task(harness_.rows(harness_.options().tables.messages));
  }
  std::size_t looking() {
    std::size_t count = 0;
    for (const auto& row : rows()) {
      if (dynamodb::AttributeReader(row).string("conversation_id") == "looking#") ++count;
    }
    return count;
  }
  void advance_s(std::int64_t seconds) { harness_.clock().advance_ms(seconds * 1000); }

  const UserId alice_{"alice"};
  DynamoDbHarness harness_;
  std::unique_ptr<DynamoDbStore> one_ = harness_.open_dynamodb();
  std::unique_ptr<DynamoDbStore> other_ = harness_.open_dynamodb();
};

TEST_F(ErasureTest, BeginsWhenEveryServerThatLooksHasAcknowledgedIt) {
  make();
  run_task(other_->unfinished_erasures());
  auto erasure = begin(*one_);
  EXPECT_EQ(look(*other_), erasure);
  EXPECT_FALSE(claims(*one_, erasure));
  EXPECT_EQ(run_task(one_->erase_some(erasure)), Left::kLater);
  EXPECT_EQ(conversations(), 1U);
  run_task(other_->acknowledge_erasure(erasure));
  EXPECT_TRUE(claims(*one_, erasure));
  EXPECT_FALSE(claims(*other_, erasure));
  end(*one_, erasure);
  EXPECT_EQ(conversations(), 0U);
}

TEST_F(ErasureTest, WaitsForAServerThatDiedForAWhileAndForOneThatLeftNotAtAll) {
  run_task(other_->unfinished_erasures());
  auto erasure = begin(*one_);
  EXPECT_FALSE(claims(*one_, erasure));
  run_task(other_->stop_looking());
  EXPECT_TRUE(claims(*one_, erasure));
  auto third = harness_.open_dynamodb();
  run_task(third->unfinished_erasures());
  EXPECT_FALSE(claims(*one_, erasure));
  harness_.clock().advance_ms(100'000);
  EXPECT_TRUE(claims(*one_, erasure));
  end(*one_, erasure);
}

TEST_F(ErasureTest, WhoComesLateToItChangesNothingOfALaterOne) {
  auto first = begin(*one_);
  EXPECT_TRUE(claims(*one_, first));
  harness_.clock().advance_ms(120'000);
  run_task(other_->unfinished_erasures());
  harness_.clock().advance_ms(120'000);
  end(*other_, first);
  make();
  EXPECT_FALSE(claims(*one_, first));
  EXPECT_EQ(run_task(one_->erase_some(first)), Left::kLater);
  EXPECT_THROW(run_task(one_->seal_erasure(first)), Error);
  EXPECT_EQ(conversations(), 1U);
  harness_.clock().advance_ms(120'000);
  auto second = begin(*one_);
  EXPECT_NE(second, first);
  EXPECT_FALSE(claims(*one_, first));
  run_task(other_->acknowledge_erasure(first));
  EXPECT_THROW(run_task(one_->end_erasure(first, 1)), Error);
  EXPECT_EQ(look(*one_), second);
  end(*one_, second);
  EXPECT_EQ(conversations(), 0U);
}

TEST_F(ErasureTest, AServerThatStopsInOrderLeavesNoRow) {
  run_task(one_->unfinished_erasures());
  run_task(other_->unfinished_erasures());
  EXPECT_EQ(looking(), 2U);
  run_task(one_->stop_looking());
  EXPECT_EQ(looking(), 1U);
  run_task(other_->stop_looking());
  EXPECT_EQ(looking(), 0U);
}

TEST_F(ErasureTest, EndsWhereOthersHaveTakenItOverOnlyForThem) {
  auto erasure = begin(*one_);
  while (run_task(one_->erase_some(erasure)) == Left::kMore) {
  }
  auto at_ms = run_task(one_->seal_erasure(erasure));
  advance_s(120);
  EXPECT_TRUE(claims(*other_, erasure));
  EXPECT_THROW(run_task(one_->end_erasure(erasure, at_ms)), Error);
  EXPECT_EQ(look(*other_), erasure);
  end(*other_, erasure);
  EXPECT_TRUE(run_task(other_->unfinished_erasures()).empty());
}

TEST_F(ErasureTest, NothingThatIsDamagedHoldsItUp) {
  for (int i = 0; i < 3; ++i) {
    auto conversation = make();
    NewMessage message;
    message.content = "message";
    run_task(one_->append_message(alice_, conversation.id, message, std::nullopt));
    if (i < 2) harness_.damage(conversation);
  }
  const UserId bob("bob");
  auto deleted = run_task(one_->create_conversation(bob, {}, {})).conversation;
  run_task(one_->delete_conversation(bob, deleted.id, std::nullopt));
  boost::json::object key{{"conversation_id", {{"S", dynamodb::purge_hash_key(deleted.id)}}},
                          {"message_id", {{"S", deleted.id.to_string()}}}};
  harness_.update(harness_.options().tables.messages, std::move(key), "REMOVE deleted_at, user_id");
  end(*one_, begin(*one_));
  EXPECT_TRUE(run_task(harness_.rows(harness_.options().tables.conversations)).empty());
  for (const auto& row : rows()) EXPECT_FALSE(row.contains("timestamp"));
  EXPECT_NO_THROW(run_task(one_->settle_now()));
}

TEST_F(ErasureTest, ALookNeedsNoNewRowForAsLongAsTheOldOneIsGood) {
  FaultyService service(std::getenv("COLLOQUY_TEST_DYNAMODB"));  // NOLINT(concurrency-mt-unsafe)
  auto client = harness_.connect(service.url(), {.attempts = 1});
  auto server = harness_.open_dynamodb(*client);
  auto look_without_a_write = [&] {
    service.spoil(1, FaultyService::Fault::kNotDone, FaultyService::Lasting::kOnce);
    run_task(server->unfinished_erasures());
  };
  EXPECT_THROW(look_without_a_write(), Error);
  run_task(server->unfinished_erasures());
  advance_s(30);
  auto erasure = begin(*one_);
  EXPECT_NO_THROW(look_without_a_write());
  EXPECT_EQ(service.calls(), 2U);
  // And is counted on all the while.
  EXPECT_FALSE(claims(*one_, erasure));
  advance_s(20);
  EXPECT_THROW(look_without_a_write(), Error);
  run_task(server->unfinished_erasures());
}

TEST_F(ErasureTest, NothingIsWrittenWhenTheOthersMaySoonNotCountOnTheServer) {
  auto client = harness_.connect(harness_.client().endpoint());
  auto server = harness_.open_dynamodb(*client);
  client->write_until(BootClock::now() - std::chrono::seconds(1));
  EXPECT_THROW(run_task(server->create_conversation(alice_, {}, {})), Error);
  EXPECT_EQ(conversations(), 0U);
  run_task(server->unfinished_erasures());
  run_task(server->create_conversation(alice_, {}, {}));
  EXPECT_EQ(conversations(), 1U);
  client->write_until(BootClock::now() - std::chrono::seconds(1));
  run_task(server->stop_looking());
  EXPECT_EQ(looking(), 0U);
}

}  // namespace
}  // namespace colloquy::store
