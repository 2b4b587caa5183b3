#include "store/dynamodb/tables.h"

#include <gmock/gmock.h>

#include <boost/json/parse.hpp>

#include "store/dynamodb/dynamodb_harness.h"
#include "store/dynamodb/table_description.h"
#include "store/dynamodb/table_sizes.h"

namespace colloquy::store::dynamodb {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

// Of the two tables that the harness makes and drops; it leaves time to live off.
class Tables : public testing::Test {
 protected:
  Tables() { create(); }

  Client& client() { return harness_.client(); }
  const TableNames& names() { return harness_.options().tables; }

  void call(std::string_view operation, std::string body) {
    run_task(send(operation, std::move(body)));
  }
  void drop(const std::string& table) { call("DeleteTable", table_body(table)); }

  std::vector<std::string> create(TableOptions options = {}) {
    options.poll_interval = std::chrono::milliseconds(20);
    std::vector<std::string> said;
    run_task(create_tables(client(), names(), options,
                           [&said](const std::string& text) { said.push_back(text); }));
    return said;
  }

  // Those that DynamoDB Local always gives rise to left out.
  std::vector<std::string> check(TableOptions options = {},
                                 CheckFor purpose = CheckFor::kOperator) {
    std::vector<std::string> texts;
    for (const auto& finding : run_task(check_tables(client(), names(), options, purpose))) {
      bool error = finding.severity == Finding::Severity::kError;
      std::string text = error ? "error " : "warning ";
      text += finding.table == names().messages ? "messages: " : "conversations: ";
      text += finding.text + (finding.create_helps ? " (create)" : "");
      if (text.find("encrypted") != std::string::npos && !error) continue;
      if (text.find("no DescribeContinuousBackups") != std::string::npos && !error) continue;
      texts.push_back(std::move(text));
    }
    return texts;
  }

  // A table of messages in place of the one that is there, with what `shape` says of it.
  void remake_messages(const std::string& shape) {
    drop(names().messages);
    call("CreateTable", "{\"TableName\":\"" + names().messages + "\"," + shape + "}");
  }
  void put(const std::string& table, const std::string& item) {
    call("PutItem", "{\"TableName\":\"" + table + "\",\"Item\":" + item + "}");
  }

 private:
  Task<> send(std::string_view operation, std::string body) {
    co_await client().call(operation, std::move(body));
  }

  DynamoDbHarness harness_;
};

constexpr const char* kMessagesKey =
    R"("KeySchema":[{"AttributeName":"conversation_id","KeyType":"HASH"},
                    {"AttributeName":"message_id","KeyType":"RANGE"}])";

TEST_F(Tables, AsTheyAreMadeNothingIsWrong) {
  EXPECT_THAT(check(), IsEmpty());
  EXPECT_THAT(check({}, CheckFor::kServing), IsEmpty());
}

TEST_F(Tables, MakingThemAgainChangesNothing) {
  EXPECT_THAT(create(), Contains(HasSubstr("is there")).Times(2));
  EXPECT_THAT(check(), IsEmpty());
}

TEST_F(Tables, WhatAnInterruptedRunHasLeftOutIsMadeByTheNext) {
  drop(names().messages);
  EXPECT_THAT(check(), ElementsAre("error messages: there is no such table (create)"));
  EXPECT_THAT(create(), AllOf(Contains(HasSubstr("conversations: is there")),
                              Contains(HasSubstr("messages: is being made"))));
  EXPECT_THAT(check(), IsEmpty());
}

TEST_F(Tables, ProgressSaysWhatTheServiceHasNot) {
  EXPECT_THAT(create(), Contains(HasSubstr("has no point-in-time recovery")).Times(2));
}

TEST_F(Tables, AMissingIndexIsAdded) {
  TableOptions options;
  options.updated_index = true;
  EXPECT_THAT(check(options),
              ElementsAre(AllOf(HasSubstr("error conversations"), HasSubstr("UserUpdatedIndex"),
                                HasSubstr("is missing (create)"))));
  EXPECT_THAT(check(options, CheckFor::kServing), SizeIs(1));
  create(options);
  EXPECT_THAT(check(options), IsEmpty());
  auto there = run_task(describe_table(client(), names().conversations));
  EXPECT_EQ(there->index("UserUpdatedIndex")->projection, "KEYS_ONLY");
}

TEST_F(Tables, EveryMissingIndexIsAddedOneAfterTheOther) {
  drop(names().conversations);
  TableOptions none;
  none.secondary_indexes = false;
  create(none);
  EXPECT_THAT(check(none), IsEmpty());
  TableOptions all;
  all.updated_index = true;
  EXPECT_THAT(check(all), SizeIs(2));
  create(all);
  EXPECT_THAT(check(all), IsEmpty());
}

TEST_F(Tables, ServingNeedsNoSecondaryIndex) {
  drop(names().messages);
  TableOptions none;
  none.secondary_indexes = false;
  create(none);
  EXPECT_THAT(check(), ElementsAre(HasSubstr("ConversationTimeIndex")));
  EXPECT_THAT(check(none, CheckFor::kServing), IsEmpty());
}

TEST_F(Tables, AnotherKeyIsFoundAndNotTouched) {
  remake_messages(R"("BillingMode":"PAY_PER_REQUEST",
    "AttributeDefinitions":[{"AttributeName":"message_id","AttributeType":"S"}],
    "KeySchema":[{"AttributeName":"message_id","KeyType":"HASH"}])");
  EXPECT_THAT(check(), Contains("error messages: its key is (message_id) and must be "
                                "(conversation_id, message_id)"));
  try {
    create();
    FAIL() << "it made what it cannot";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kConflict);
    EXPECT_THAT(error.message(), HasSubstr("cannot be changed"));
  }
}

TEST_F(Tables, AnotherTypeOfAKeyIsFound) {
  remake_messages(std::string(R"("BillingMode":"PAY_PER_REQUEST",
    "AttributeDefinitions":[{"AttributeName":"conversation_id","AttributeType":"S"},
                            {"AttributeName":"message_id","AttributeType":"N"}],)") +
                  kMessagesKey);
  put(names().messages, R"({"conversation_id":{"S":"x"},"message_id":{"N":"7"}})");
  EXPECT_THAT(check({}, CheckFor::kServing),
              Contains("error messages: its attribute message_id is of type N and must be S"));
}

TEST_F(Tables, AnIndexWithOtherKeysAndAWiderOneAreFound) {
  auto index = [](const char* range) {
    return std::string(R"("BillingMode":"PAY_PER_REQUEST",
    "AttributeDefinitions":[{"AttributeName":"conversation_id","AttributeType":"S"},
      {"AttributeName":"message_id","AttributeType":"S"},{"AttributeName":")") +
           range + R"(","AttributeType":"N"}],"GlobalSecondaryIndexes":[{
    "IndexName":"ConversationTimeIndex","Projection":{"ProjectionType":"ALL"},"KeySchema":[
      {"AttributeName":"conversation_id","KeyType":"HASH"},{"AttributeName":")" +
           range + R"(","KeyType":"RANGE"}]}],)" + kMessagesKey;
  };
  remake_messages(index("created_at"));
  EXPECT_THAT(check(), Contains("error messages: the key of its index ConversationTimeIndex is "
                                "(conversation_id, created_at) and must be (conversation_id, "
                                "timestamp)"));
  remake_messages(index("timestamp"));
  EXPECT_THAT(check(), Contains(AllOf(HasSubstr("warning messages: its index"),
                                      HasSubstr("holds more than keys (ALL)"))));
  EXPECT_THAT(check(), Not(Contains(HasSubstr("must be (conv"))));
}

TEST_F(Tables, TimeToLiveThatIsOffOrElsewhereIsFound) {
  auto table = names().conversations;
  auto set = [&](const char* on, const char* attribute) {
    call("UpdateTimeToLive", R"({"TableName":")" + table +
                                 R"(","TimeToLiveSpecification":{"Enabled":)" + on +
                                 R"(,"AttributeName":")" + attribute + "\"}}");
  };
  set("false", "ttl");
  EXPECT_THAT(check(), ElementsAre(AllOf(HasSubstr("error conversations: its time to live is off"),
                                         HasSubstr("(create)"))));
  // It hides what has expired by itself.
  EXPECT_THAT(check({}, CheckFor::kServing), ElementsAre(HasSubstr("warning conversations")));
  set("true", "updated_at");
  EXPECT_THAT(check({}, CheckFor::kServing),
              ElementsAre("error conversations: its time to live is on attribute updated_at and "
                          "must be on ttl"));
  EXPECT_THROW(create(), Error);
}

TEST_F(Tables, ProvisionedBillingIsFoundAndAnIndexIsAddedToItAllTheSame) {
  remake_messages(std::string(R"("BillingMode":"PROVISIONED",
    "ProvisionedThroughput":{"ReadCapacityUnits":5,"WriteCapacityUnits":5},
    "AttributeDefinitions":[{"AttributeName":"conversation_id","AttributeType":"S"},
                            {"AttributeName":"message_id","AttributeType":"S"}],)") +
                  kMessagesKey);
  create();
  EXPECT_THAT(check(), ElementsAre(HasSubstr("warning messages: it is billed by provisioned")));
}

TEST_F(Tables, RowsOfTheSourceSystemAreFoundAndOurOwnRecordsAreNot) {
  const std::string ours = "01890a5d-ac96-774b-bcce-b302099a8057";
  const std::string theirs = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
  auto row = [](const std::string& conversation, const std::string& message) {
    return R"({"conversation_id":{"S":")" + conversation + R"("},"message_id":{"S":")" + message +
           "\"}}";
  };
  put(names().messages, row(ours, ours));
  put(names().messages, row("idem#x", "key"));
  put(names().messages, row("purge#0", ours));
  put(names().messages, row(ours + "#" + ours, "0001"));
  EXPECT_THAT(check(), IsEmpty());
  put(names().messages, row(ours, theirs));
  EXPECT_THAT(check({}, CheckFor::kServing),
              ElementsAre(AllOf(HasSubstr("error messages"), HasSubstr("colloquy migrate"))));
  put(names().conversations,
      R"({"user_id":{"S":"alice"},"conversation_id":{"S":")" + theirs + "\"}}");
  EXPECT_THAT(check(), SizeIs(2));
}

TEST_F(Tables, AreDescribedInTheServicesWords) {
  drop(names().messages);
  auto text = run_task(describe_tables(client(), names()));
  auto said = boost::json::parse(text).as_object();
  EXPECT_TRUE(said.at(names().messages).is_null());
  const auto& table = said.at(names().conversations).as_object();
  EXPECT_EQ(table.at("Table").at("TableStatus").as_string(), "ACTIVE");
  EXPECT_EQ(table.at("TimeToLive").at("AttributeName").as_string(), "ttl");
  EXPECT_THAT(std::string(table.at("ContinuousBackups").as_string()), HasSubstr("Unknown"));
  EXPECT_THAT(text, HasSubstr("\n    \"Table\": {\n"));
}

TEST_F(Tables, SizesAreTheServicesCounts) {
  telemetry::Metrics metrics;
  TableSizes sizes(client(), names(), metrics);
  put(names().conversations, R"({"user_id":{"S":"alice"},"conversation_id":{"S":"a"}})");
  put(names().messages, R"({"conversation_id":{"S":"a"},"message_id":{"S":"1"}})");
  put(names().messages, R"({"conversation_id":{"S":"a"},"message_id":{"S":"2"}})");
  run_task(sizes.refresh());
  EXPECT_EQ(sizes.stats().conversations, 1U);
  EXPECT_EQ(sizes.stats().messages, 2U);
  EXPECT_GT(sizes.stats().disk_bytes, 0U);
  EXPECT_THAT(metrics.render(), AllOf(HasSubstr("colloquy_dynamodb_table_items{table=\"" +
                                                names().messages + "\"} 2"),
                                      HasSubstr("colloquy_dynamodb_table_bytes{table=\"")));
}

}  // namespace
}  // namespace colloquy::store::dynamodb
