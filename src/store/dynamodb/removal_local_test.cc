// What the service removes by `ttl`, and when: of a conversation the messages first, whatever
// crashes meanwhile.
#include <gmock/gmock.h>

#include <set>
#include <sstream>

#include "base/testing/next_call.h"
#include "store/dynamodb/dynamodb_harness.h"
#include "store/dynamodb/faulty_service_harness.h"
#include "store/dynamodb/renewer.h"

namespace colloquy::store {
namespace {

using dynamodb::FaultyService;

class RemovalTest : public testing::Test {
 protected:
  Conversation create(std::optional<std::int64_t> ttl_seconds) {
    NewConversation fresh{"title", "", {}, ttl_seconds};
    return run_task(store_->create_conversation(alice_, fresh, std::nullopt)).conversation;
  }
  void append(const Conversation& conversation) {
    NewMessage message;
    message.content = "message";
    run_task(store_->append_message(alice_, conversation.id, message, std::nullopt));
  }
  static Task<Conversation> set_ttl(Store& store, Conversation conversation, std::int64_t seconds) {
    ConversationPatch patch;
    patch.ttl_seconds = std::optional<std::int64_t>(seconds);
    co_return co_await store.update_conversation(conversation.user_id, conversation.id, patch,
                                                 std::nullopt);
  }
  StartedTurn start(const Conversation& conversation, std::int64_t lease_seconds) {
    NewTurn turn;
    turn.conversation_id = conversation.id;
    turn.prompt.content = "prompt";
    turn.lease_until_s = now_s() + lease_seconds;
    return run_task(store_->start_turn(alice_, turn, std::nullopt));
  }
  // But for the end of it.
  void erase_alice() {
    run_task(store_->begin_erasure(alice_));
    auto erasure = run_task(store_->unfinished_erasures()).at(0);
    auto left = Erasures::Left::kMore;
    for (int i = 0; left == Erasures::Left::kMore && i < 10; ++i) {
      left = run_task(store_->erase_some(erasure));
    }
    EXPECT_EQ(left, Erasures::Left::kNothing);
  }
  void advance_s(std::int64_t seconds) { harness_.clock().advance_ms(seconds * 1000); }
  std::int64_t now_s() { return harness_.clock().now_s(); }

  std::vector<boost::json::object> conversations() {
    return run_task(harness_.rows(harness_.options().tables.conversations));
  }
  // With our own records.
  std::vector<boost::json::object> rows() {
    return run_task(harness_.rows(harness_.options().tables.messages));
  }
  std::size_t messages() {
    std::size_t count = 0;
    for (const auto& row : rows()) count += row.contains("timestamp") ? 1 : 0;
    return count;
  }
  // Those of contents: their hash keys begin with a conversation's id.
  std::size_t parts() {
    std::size_t count = 0;
    for (const auto& row : rows()) {
      auto hash = *dynamodb::AttributeReader(row).string("conversation_id");
      auto end = hash.find('#');
      if (end != std::string::npos && ConversationId::parse(hash.substr(0, end))) ++count;
    }
    return count;
  }
  std::size_t rows_of(const Conversation& conversation) {
    const auto id = conversation.id.to_string();
    std::size_t count = 0;
    for (const auto& row : rows()) {
      auto hash = *dynamodb::AttributeReader(row).string("conversation_id");
      count += hash == id || hash.starts_with(id + "#") ? 1 : 0;
    }
    return count;
  }
  std::optional<std::int64_t> conversation_removal() {
    return dynamodb::AttributeReader(conversations().at(0)).number("ttl");
  }
  std::vector<std::optional<std::int64_t>> removals() {
    std::vector<std::optional<std::int64_t>> times;
    for (const auto& row : rows()) {
      if (row.contains("timestamp")) times.push_back(dynamodb::AttributeReader(row).number("ttl"));
    }
    return times;
  }
  // That the calls so far have consumed.
  double write_units() {
    std::istringstream lines(harness_.metrics().render());
    double units = 0;
    for (std::string line; std::getline(lines, line);) {
      bool counts = line.starts_with("colloquy_dynamodb_consumed_units_total{") &&
                    line.find("kind=\"write\"") != std::string::npos;
      if (counts) units += std::stod(line.substr(line.rfind(' ')));
    }
    return units;
  }
  // Done at once, as the service does it hours or days later.
  void service_removes() {
    const auto& tables = harness_.options().tables;
    remove_due(tables.conversations, "user_id", "conversation_id");
    remove_due(tables.messages, "conversation_id", "message_id");
  }

  const UserId alice_{"alice"};
  DynamoDbHarness harness_;
  FaultyService service_{std::getenv("COLLOQUY_TEST_DYNAMODB")};  // NOLINT(concurrency-mt-unsafe)
  std::unique_ptr<DynamoDbStore> store_ = harness_.open_dynamodb();

 private:
  void remove_due(const std::string& table, const char* hash, const char* range) {
    for (const auto& row : run_task(harness_.rows(table))) {
      auto ttl = dynamodb::AttributeReader(row).number("ttl");
      if (!ttl || *ttl > now_s()) continue;
      boost::json::object key{{hash, row.at(hash)}, {range, row.at(range)}};
      boost::json::object request{{"TableName", table}, {"Key", std::move(key)}};
      run_task(harness_.client().call("DeleteItem", boost::json::serialize(request)));
    }
  }
};

TEST_F(RemovalTest, ANewTimeToLiveReachesTheMessagesWhateverCallIsTheLast) {
  constexpr std::int64_t kLifetime = 10'000;
  auto client = harness_.connect(service_.url(), {.attempts = 1});
  for (std::size_t call = 1;; call = next_call(call)) {
    SCOPED_TRACE(call);
    auto conversation = create(std::nullopt);
    append(conversation);
    auto crashing = harness_.open_dynamodb(*client);
    service_.spoil(call, FaultyService::Fault::kNotDone, FaultyService::Lasting::kAndAllAfterIt);
    bool crashed = false;
    try {
      run_task(set_ttl(*crashing, conversation, kLifetime));
      run_task(crashing->settle_now());
    } catch (const Error&) {
      crashed = true;
    }
    crashed = crashed || service_.calls() >= call;
    crashing.reset();
    service_.heal();
    // Past its claims.
    for (int i = 0; i < 2; ++i) {
      advance_s(700);
      run_task(store_->settle_now());
    }
    auto changed = run_task(store_->get_conversation(alice_, conversation.id));
    ASSERT_TRUE(changed);
    auto times = removals();
    ASSERT_EQ(times.size(), 1U);
    for (const auto& time : times) {
      ASSERT_EQ(time.has_value(), changed->ttl_seconds.has_value());
      if (!time) continue;
      EXPECT_GE(*time, *changed->expires_at_s());
      EXPECT_GT(conversation_removal(), time);
    }
    EXPECT_EQ(rows().size(), 1U);  // nothing is to be done any more
    run_task(store_->delete_conversation(alice_, conversation.id, std::nullopt));
    for (int i = 0; i < 2; ++i) {
      run_task(store_->settle_now());
      advance_s(3600);
    }
    ASSERT_EQ(rows().size(), 0U);
    if (!crashed) break;
  }
}

TEST_F(RemovalTest, UntilTheMessagesHaveTheirTimesTheConversationHasNone) {
  auto conversation = create(100);
  append(conversation);
  EXPECT_TRUE(conversation_removal());
  run_task(set_ttl(*store_, conversation, 1000));
  EXPECT_FALSE(conversation_removal());
  append(conversation);
  EXPECT_FALSE(conversation_removal());
  start(conversation, 600);
  EXPECT_FALSE(conversation_removal());
  ConversationPatch patch;
  patch.title = "another";
  run_task(store_->update_conversation(alice_, conversation.id, patch, std::nullopt));
  EXPECT_FALSE(conversation_removal());
  run_task(store_->settle_now());
  EXPECT_EQ(conversation_removal(), dynamodb::conversation_removal_s(1000, now_s() + 1000));
  for (const auto& time : removals()) EXPECT_GE(time, now_s() + 2000);
}

TEST_F(RemovalTest, AnAnswerThatBeganBeforeTheTimeToLiveGoesByIt) {
  auto conversation = create(std::nullopt);
  auto turn = start(conversation, 600);
  run_task(set_ttl(*store_, conversation, 1000));
  // Another server is through with the change before the answer ends.
  run_task(harness_.open_dynamodb()->settle_now());
  EXPECT_TRUE(conversation_removal());
  auto reply = turn.reply;
  reply.status = MessageStatus::kComplete;
  reply.content = "answer";
  run_task(store_->finish_turn(alice_, conversation.id, reply));
  EXPECT_FALSE(conversation_removal());
  store_.reset();
  run_task(harness_.open_dynamodb()->settle_now());
  EXPECT_TRUE(conversation_removal());
  EXPECT_EQ(removals().size(), 2U);
  for (const auto& time : removals()) EXPECT_TRUE(time);
}

TEST_F(RemovalTest, AnAnswerThatEndsBesideARenewalGoesByTheTimeToLiveToo) {
  auto client = harness_.connect(service_.url(), {.attempts = 1});
  bool disturbed = true;
  for (std::size_t call = 1; disturbed; call = next_call(call)) {
    SCOPED_TRACE(call);
    auto conversation = create(std::nullopt);
    auto turn = start(conversation, 600);
    run_task(set_ttl(*store_, conversation, 1000));
    auto other = harness_.open_dynamodb(*client);
    disturbed = false;
    service_.interrupt(call, [&] {
      disturbed = true;
      auto reply = turn.reply;
      reply.status = MessageStatus::kComplete;
      reply.content = "answer";
      run_task(store_->finish_turn(alice_, conversation.id, reply));
    });
    run_task(other->settle_now());
    EXPECT_TRUE(disturbed || call > 5);
    // With all that the server of the turn, and of the change, has not done yet.
    store_ = harness_.open_dynamodb();
    for (int i = 0; i < 2; ++i) run_task(store_->settle_now());
    EXPECT_TRUE(conversation_removal());
    EXPECT_EQ(removals().size(), disturbed ? 2U : 1U);
    for (const auto& time : removals()) EXPECT_TRUE(time);
    run_task(store_->delete_conversation(alice_, conversation.id, std::nullopt));
    for (int i = 0; i < 2; ++i) {
      run_task(store_->settle_now());
      advance_s(3600);
    }
    ASSERT_EQ(messages(), 0U);
  }
}

// A write without a condition makes an item of the time alone, which nobody would ever remove.
TEST_F(RemovalTest, ARenewalBringsBackNothingOfWhatIsDeletedBesideIt) {
  auto client = harness_.connect(service_.url(), {.attempts = 1});
  auto table_rows = std::make_shared<dynamodb::Rows>(*client, harness_.options().tables);
  for (bool whole : {false, true}) {
    bool disturbed = true;
    std::size_t call = 1;
    for (; disturbed; ++call) {
      SCOPED_TRACE(call);
      auto conversation = create(std::nullopt);
      NewMessage fresh;
      fresh.content = std::string(700'000, 'x');  // in three parts
      auto message =
          run_task(store_->append_message(alice_, conversation.id, fresh, std::nullopt)).message;
      ASSERT_EQ(rows_of(conversation), 4U);
      run_task(set_ttl(*store_, conversation, 1000));
      dynamodb::Renewer renewer(table_rows, harness_.clock(), harness_.metrics());
      renewer.after_activity(*run_task(table_rows->conversation(alice_, conversation.id)));
      disturbed = false;
      service_.interrupt(call, [&] {
        disturbed = true;
        if (whole) {
          run_task(store_->delete_conversation(alice_, conversation.id, std::nullopt));
          run_task(store_->settle_now());
        } else {
          run_task(store_->delete_message(alice_, conversation.id, message.id));
        }
      });
      run_task(renewer.renew_waiting());
      service_.interrupt(0, {});
      EXPECT_EQ(rows_of(conversation), disturbed ? 0U : 4U);
      EXPECT_EQ(conversations().size(), whole && disturbed ? 0U : 1U);
      if (conversations().empty()) continue;
      EXPECT_TRUE(conversation_removal() || disturbed);
      run_task(store_->delete_conversation(alice_, conversation.id, std::nullopt));
      run_task(store_->settle_now());
      ASSERT_EQ(rows_of(conversation), 0U);
    }
    EXPECT_GT(call, 8U);
  }
}

TEST_F(RemovalTest, ADamagedConversationHoldsUpNoDeletion) {
  auto damaged = create(std::nullopt);
  run_task(set_ttl(*store_, damaged, 1000));
  harness_.damage(damaged);
  store_ = harness_.open_dynamodb();
  auto deleted = create(std::nullopt);
  append(deleted);
  run_task(store_->delete_conversation(alice_, deleted.id, std::nullopt));
  EXPECT_NO_THROW(run_task(store_->settle_now()));
  EXPECT_EQ(messages(), 0U);
}

TEST_F(RemovalTest, ARenewalCostsAWriteUnitForEachMessageAndTwo) {
  auto conversation = create(100);
  for (int i = 0; i < 5; ++i) append(conversation);
  advance_s(60);
  append(conversation);
  auto before = write_units();
  run_task(store_->settle_now());
  EXPECT_EQ(write_units(), before);  // not time yet
  advance_s(60);
  append(conversation);
  before = write_units();
  run_task(store_->settle_now());
  EXPECT_EQ(write_units() - before, 6 + 2);  // the last has its time already
}

TEST_F(RemovalTest, ARenewalThatWasRefusedIsTriedAgain) {
  auto conversation = create(100);
  append(conversation);
  advance_s(99);
  auto client = harness_.connect(service_.url(), {.attempts = 1});
  auto rows = std::make_shared<dynamodb::Rows>(*client, harness_.options().tables);
  dynamodb::Renewer renewer(rows, harness_.clock(), harness_.metrics());
  service_.heal();
  advance_s(0);
  auto item = run_task(rows->conversation(alice_, conversation.id));
  ASSERT_TRUE(item);
  item->renewed_at_s = now_s() - 100;
  renewer.after_activity(*item);
  service_.spoil(1, FaultyService::Fault::kNotDone, FaultyService::Lasting::kAndAllAfterIt);
  auto before = removals();
  run_task(renewer.renew_waiting());
  EXPECT_EQ(removals(), before);
  service_.heal();
  run_task(renewer.renew_waiting());
  EXPECT_THAT(removals(), testing::ElementsAre(now_s() + 200));
}

TEST_F(RemovalTest, WhileThereAreMessagesTheirConversationIsThere) {
  auto conversation = create(100);
  for (int i = 0; i < 3; ++i) {
    append(conversation);
    advance_s(60);
    run_task(store_->settle_now());
  }
  advance_s(30);
  start(conversation, 5);  // and nobody ends it
  std::size_t left = messages();
  EXPECT_EQ(left, 4U);
  for (int i = 0; left > 0 && i < 100; ++i) {
    advance_s(10);
    service_removes();
    left = messages();
    ASSERT_TRUE(left == 0 || conversations().size() == 1);
  }
  EXPECT_EQ(left, 0U);
  EXPECT_FALSE(run_task(store_->get_conversation(alice_, conversation.id)));
  advance_s(3 * 86'400);
  service_removes();
  EXPECT_TRUE(conversations().empty());
}

// By a retention that came after it, of which the service knows nothing.
TEST_F(RemovalTest, WhatHasExpiredGoesWholeWhateverCallIsTheLast) {
  auto client = harness_.connect(service_.url(), {.attempts = 1});
  bool crashed = true;
  std::size_t call = 1;
  for (; crashed; call = next_call(call)) {
    SCOPED_TRACE(call);
    harness_.retain(std::nullopt);
    auto plain = harness_.open_dynamodb();
    const IdempotencyKey key{"key" + std::to_string(call), {}, 4'000'000'000};
    auto old = run_task(plain->create_conversation(alice_, {"old", "", {}, {}}, key)).conversation;
    for (int i = 0; i < 2; ++i) append(old);
    advance_s(9'900);
    auto fresh = create(std::nullopt);
    append(fresh);
    advance_s(200);
    harness_.retain(10'000);
    auto crashing = harness_.open_dynamodb(*client);
    service_.spoil(call, FaultyService::Fault::kNotDone, FaultyService::Lasting::kAndAllAfterIt);
    try {
      run_task(crashing->settle_now());
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnavailable) << error.detail();
    }
    crashed = service_.calls() >= call;
    crashing.reset();
    service_.heal();
    // Whoever does not know of the retention yet finds it whole, or not at all.
    if (run_task(plain->get_conversation(alice_, old.id))) {
      ASSERT_EQ(run_task(plain->list_messages(alice_, old.id, {})).messages.size(), 2U);
    }
    auto next = harness_.open_dynamodb();
    // Past its claims, and past the longest turn.
    for (auto seconds : {700, 3600, 0}) {
      run_task(next->settle_now());
      advance_s(seconds);
    }
    ASSERT_EQ(rows_of(old), 0U);
    ASSERT_EQ(conversations().size(), 1U);
    try {
      run_task(next->create_conversation(alice_, {"old", "", {}, {}}, key));
      ADD_FAILURE() << "made again";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kConflict) << error.detail();
    }
    ASSERT_EQ(run_task(next->list_messages(alice_, fresh.id, {})).messages.size(), 1U);
    for (const auto& time : removals()) EXPECT_TRUE(time);
    run_task(next->delete_conversation(alice_, fresh.id, std::nullopt));
    for (int i = 0; i < 2; ++i) {
      run_task(next->settle_now());
      advance_s(3600);
    }
    ASSERT_EQ(messages(), 0U);
    ASSERT_TRUE(conversations().empty());
  }
  EXPECT_GT(call, 8U);
}

TEST_F(RemovalTest, AnErasureFindsTheMessagesOfWhatExpiredLongAgo) {
  auto conversation = create(10'000);
  append(conversation);
  advance_s(19'000);
  service_removes();
  EXPECT_EQ(messages(), 1U);
  erase_alice();
  EXPECT_EQ(messages(), 0U);
}

// Of a message that no item can hold, sent through a service that fails from its `call` on; false
// when it did not come as far as that.
bool append_long(DynamoDbStore& store, const Conversation& conversation, FaultyService& service,
                 std::size_t call) {
  NewMessage message;
  message.content = std::string(700'000, 'x');
  service.spoil(call, FaultyService::Fault::kNotDone, FaultyService::Lasting::kAndAllAfterIt);
  try {
    run_task(store.append_message(conversation.user_id, conversation.id, message, std::nullopt));
  } catch (const Error&) {
  }
  bool failed = service.calls() >= call;
  service.heal();
  return failed;
}

TEST_F(RemovalTest, PartsThatNoMessageNamesGoWhateverCallIsTheLast) {
  auto client = harness_.connect(service_.url(), {.attempts = 1});
  auto crashing = harness_.open_dynamodb(*client);
  auto conversation = create(std::nullopt);
  bool more = true;
  std::size_t call = 1;
  for (; more; call = next_call(call)) {
    SCOPED_TRACE(call);
    more = append_long(*crashing, conversation, service_, call);
    run_task(store_->settle_now());
    advance_s(86'400);
    run_task(store_->settle_now());
    auto there = run_task(store_->list_messages(alice_, conversation.id, {})).messages;
    ASSERT_EQ(rows().size(), there.size() * 4);  // with three parts
    for (const auto& message : there) {
      ASSERT_EQ(message.content.size(), 700'000U);
      run_task(store_->delete_message(alice_, conversation.id, message.id));
    }
  }
  EXPECT_GT(call, 8U);
}

TEST_F(RemovalTest, ALongMessageIsNotRefusedWhereOnlyTheRecordOfItsPartsCouldNotGo) {
  auto client = harness_.connect(service_.url(), {.attempts = 1});
  auto failing = harness_.open_dynamodb(*client);
  auto conversation = create(std::nullopt);
  NewMessage message;
  message.content = std::string(700'000, 'x');
  bool refused = true;
  std::size_t there = 0;
  // The first call whose failure leaves the message there is that of the record.
  for (std::size_t call = 1; there == 0; ++call) {
    SCOPED_TRACE(call);
    refused = false;
    service_.spoil(call, FaultyService::Fault::kNotDone, FaultyService::Lasting::kOnce);
    try {
      run_task(failing->append_message(alice_, conversation.id, message, std::nullopt));
    } catch (const Error&) {
      refused = true;
    }
    ASSERT_GE(service_.calls(), call);
    service_.heal();
    there = run_task(store_->list_messages(alice_, conversation.id, {})).messages.size();
    ASSERT_TRUE(there == 1 || refused);
  }
  EXPECT_FALSE(refused);
  EXPECT_EQ(run_task(store_->get_conversation(alice_, conversation.id))->message_count, 1U);
}

TEST_F(RemovalTest, AnErasureFindsPartsThatNoMessageNames) {
  auto client = harness_.connect(service_.url(), {.attempts = 1});
  auto crashing = harness_.open_dynamodb(*client);
  auto conversation = create(std::nullopt);
  for (std::size_t call = 5; call <= 7; ++call) {
    EXPECT_TRUE(append_long(*crashing, conversation, service_, call));
  }
  EXPECT_GT(parts(), 0U);
  erase_alice();
  EXPECT_EQ(parts(), 0U);
  const std::set<std::string> ours{"purge", "erase", "looking"};
  for (const auto& row : rows()) {
    auto hash = dynamodb::AttributeReader(row).string("conversation_id");
    EXPECT_TRUE(ours.contains(hash->substr(0, hash->find('#')))) << *hash;
  }
}

}  // namespace
}  // namespace colloquy::store
