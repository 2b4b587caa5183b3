// Users who are erased by one of several servers.
#include <gmock/gmock.h>

#include "base/boot_clock.h"
#include "base/error.h"
#include "base/testing/next_call.h"
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

  // Long enough to be in parts.
  Conversation make_long(const UserId& user) {
    auto key = [](const char* name) { return IdempotencyKey{name, {}, 4'000'000'000}; };
    auto made = run_task(one_->create_conversation(user, {}, key("first")));
    EXPECT_FALSE(made.replayed);
    NewMessage message;
    message.content = std::string(700'000, 'x');
    run_task(one_->append_message(user, made.conversation.id, message, key("second")));
    return made.conversation;
  }
  // Begins it and ends it; said how far that was known to have come.
  struct Erased {
    bool begun = false;
    bool ended = false;
  };
  Erased try_to_erase(DynamoDbStore& server) {
    Erased erased;
    try {
      run_task(server.begin_erasure(alice_));
      erased.begun = true;
      end(server, run_task(server.unfinished_erasures()).at(0));
      erased.ended = true;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnavailable) << error.detail();
    }
    return erased;
  }

  std::vector<boost::json::object> rows() {
    return run_task(harness_.rows(harness_.options().tables.messages));
  }
  // Of both tables, those that have the text anywhere in them.
  std::size_t rows_with(const std::string& text) {
    std::size_t count = 0;
    const auto& tables = harness_.options().tables;
    for (const auto& table : {tables.conversations, tables.messages}) {
      for (const auto& row : run_task(harness_.rows(table))) {
        count += boost::json::serialize(row).find(text) == std::string::npos ? 0 : 1;
      }
    }
    return count;
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

TEST_F(ErasureTest, AnotherServerEndsItWhateverCallWasTheLast) {
  FaultyService service(std::getenv("COLLOQUY_TEST_DYNAMODB"));  // NOLINT(concurrency-mt-unsafe)
  auto client = harness_.connect(service.url(), {.attempts = 1});
  const UserId bob("bob");
  const auto kept = make_long(bob);
  const auto rows_of_bob = rows_with(kept.id.to_string());
  bool died = true;
  std::size_t call = 1;
  for (; died; call = next_call(call)) {
    SCOPED_TRACE(call);
    const auto conversation = make_long(alice_);
    auto dying = harness_.open_dynamodb(*client);
    service.spoil(call, FaultyService::Fault::kNotDone, FaultyService::Lasting::kAndAllAfterIt);
    auto said = try_to_erase(*dying);
    died = service.calls() >= call;
    dying.reset();
    service.heal();
    // Past its claim, and past its word that it looks.
    advance_s(120);
    auto next = harness_.open_dynamodb();
    auto unfinished = run_task(next->unfinished_erasures());
    ASSERT_EQ(unfinished.size(), said.begun && !said.ended ? 1U : 0U);
    if (!said.begun) {
      auto page = run_task(next->list_messages(alice_, conversation.id, {}));
      ASSERT_EQ(page.messages.size(), 1U);
      ASSERT_TRUE(try_to_erase(*next).ended);
    }
    for (const auto& erasure : unfinished) end(*next, erasure);
    ASSERT_TRUE(run_task(next->unfinished_erasures()).empty());
    ASSERT_EQ(conversations(), 0U);
    ASSERT_EQ(run_task(next->erased_users("")).size(), 1U);
    // The record of the deletion stays for as long as a turn may run.
    for (const auto& row : rows()) {
      auto hash = *dynamodb::AttributeReader(row).string("conversation_id");
      ASSERT_FALSE(hash.starts_with(conversation.id.to_string())) << hash;
    }
    advance_s(3600);
    run_task(next->settle_now());
    ASSERT_EQ(rows_with(conversation.id.to_string()), 0U);
    ASSERT_EQ(rows_with(alice_.value()), 0U);
    ASSERT_EQ(rows_with(kept.id.to_string()), rows_of_bob);
    run_task(next->stop_looking());
  }
  EXPECT_GT(call, 20U);
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
