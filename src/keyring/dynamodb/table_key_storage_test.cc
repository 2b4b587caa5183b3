#include "keyring/dynamodb/table_key_storage.h"

#include <gmock/gmock.h>

#include <boost/json/serialize.hpp>

#include "keyring/keyring.h"
#include "store/dynamodb/dynamodb_harness.h"
#include "store/encrypted/encrypted_harness.h"

namespace colloquy::store {
namespace {

std::unique_ptr<DynamoDbHarness> make_tables() {
  auto harness = std::make_unique<DynamoDbHarness>();
  harness->options().sealed_contents = true;
  return harness;
}

INSTANTIATE_TEST_SUITE_P(EncryptedDynamoDb, StoreConformance,
                         testing::Values(StoreFactory{
                             "Local",
                             [] { return std::make_unique<EncryptedHarness>(make_tables()); }}),
                         store_factory_name);

class TableKeyStorageTest : public testing::Test {
 protected:
  TableKeyStorageTest() { run_task(storage_.create()); }
  ~TableKeyStorageTest() override {
    run_task(tables_.client().call("DeleteTable", "{\"TableName\":\"" + table_ + "\"}"));
  }

  DynamoDbHarness tables_;
  const std::string table_ = RandomIdSource().next(SystemClock().now_ms()).to_string() + "-keys";
  keyring::TableKeyStorage storage_{table_, tables_.client()};
};

TEST_F(TableKeyStorageTest, ATableThatIsNoneOfKeysIsTold) {
  EXPECT_THAT(run_task(storage_.faults()), testing::IsEmpty());
  keyring::TableKeyStorage none("no-such-table", tables_.client());
  EXPECT_THAT(run_task(none.faults()), testing::ElementsAre(testing::HasSubstr("is not there")));
  std::string other = table_ + "-other";
  run_task(tables_.client().call(
      "CreateTable",
      "{\"TableName\":\"" + other +
          R"(","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{"AttributeName":"id",)"
          R"("AttributeType":"S"}],"KeySchema":[{"AttributeName":"id","KeyType":"HASH"}]})"));
  keyring::TableKeyStorage wrong(other, tables_.client());
  EXPECT_THAT(run_task(wrong.faults()), testing::Not(testing::IsEmpty()));
  run_task(tables_.client().call("DeleteTable", "{\"TableName\":\"" + other + "\"}"));
  run_task(tables_.client().call(
      "UpdateTimeToLive",
      "{\"TableName\":\"" + table_ +
          R"(","TimeToLiveSpecification":{"Enabled":true,"AttributeName":"made_at"}})"));
  EXPECT_THAT(run_task(storage_.faults()), testing::ElementsAre(testing::HasSubstr("made_at")));
}

TEST_F(TableKeyStorageTest, KeysAreMadeOnceFoundRotatedAndErased) {
  run_task(storage_.create());
  EXPECT_EQ(run_task(storage_.id(false)), "");
  auto id = run_task(storage_.id(true));
  EXPECT_EQ(run_task(storage_.id(true)), id);
  auto text = keyring::make_master_key();
  keyring::LocalMasterKeys masters([&text] { return text; });
  keyring::Keyring keyring(id, storage_, masters, tables_.clock());
  auto key = run_task(keyring.find_or_make(UserId("alice")));
  run_task(keyring.find_or_make(UserId("bob")));
  keyring::Keyring other(id, storage_, masters, tables_.clock());
  EXPECT_EQ(run_task(other.find_or_make(UserId("alice")))->id(), key->id());
  text = keyring::make_master_key() + "\n" + text;
  keyring::LocalMasterKeys next([&text] { return text; });
  keyring::Keyring rotating(id, storage_, next, tables_.clock());
  EXPECT_EQ(run_task(rotating.rotate({})).wrapped_anew, 2U);
  EXPECT_EQ(run_task(rotating.rotate({})).as_they_were, 2U);
  EXPECT_EQ(run_task(rotating.find(UserId("alice")))->id(), key->id());
  for (const auto& row : run_task(tables_.rows(table_))) {
    EXPECT_EQ(boost::json::serialize(row).find("alice"), std::string::npos);
  }
  EXPECT_TRUE(run_task(rotating.erase(UserId("alice"))));
  EXPECT_FALSE(run_task(rotating.erase(UserId("alice"))));
  EXPECT_EQ(run_task(rotating.find(UserId("alice"))), nullptr);
  EXPECT_NE(run_task(rotating.find_or_make(UserId("alice")))->id(), key->id());
}

TEST_F(TableKeyStorageTest, NothingThatAUserWroteStandsInAnyItem) {
  auto inner = make_tables();
  auto* tables = inner.get();
  EncryptedHarness harness(std::move(inner));
  auto store = harness.open_encrypted();
  const UserId alice("alice");
  NewTurn turn;
  turn.new_conversation = NewConversation{};
  turn.new_conversation->title = "a secret title";
  turn.new_conversation->metadata = {{"secret", "secret"}};
  turn.prompt.content = "a secret question " + std::string(400'000, 'x');
  IdempotencyKey key{"a secret key", {}, harness.clock().now_s() + 600};
  auto started = run_task(store->start_turn(alice, turn, key));
  started.reply.content = "a secret answer";
  EXPECT_TRUE(run_task(store->save_partial(alice, started.conversation.id, started.reply)));
  started.reply.status = MessageStatus::kComplete;
  run_task(store->finish_turn(alice, started.conversation.id, started.reply));
  auto page = run_task(store->list_messages(alice, started.conversation.id, {}));
  ASSERT_EQ(page.messages.size(), 2U);
  EXPECT_EQ(page.messages[0].content, turn.prompt.content);
  EXPECT_EQ(page.conversation.metadata, turn.new_conversation->metadata);
  const auto& names = tables->options().tables;
  for (const auto& table : {names.conversations, names.messages}) {
    for (const auto& row : run_task(tables->rows(table))) {
      EXPECT_EQ(boost::json::serialize(row).find("secret"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace colloquy::store
