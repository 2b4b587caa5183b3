#include "store/dynamodb/items.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "base/base64.h"
#include "base/error.h"
#include "store/dynamodb/request.h"
#include "store/dynamodb/tree_attributes.h"

namespace colloquy::store::dynamodb {
namespace {

template <class Write>
boost::json::object written(Write write) {
  std::string text;
  JsonWriter json(text);
  write(json);
  return boost::json::parse(text).as_object();
}

MessageId message_id(std::uint64_t number) { return MessageId(Uuid::make_v7(2000, 0, number)); }

MessageItem full_message() {
  MessageItem item;
  item.conversation_id = ConversationId(Uuid::make_v7(1000, 1, 1));
  item.user_id = UserId("alice");
  item.idempotency = "idem#1";
  item.ttl = 77;
  auto& message = item.message;
  message.id = MessageId(Uuid::make_v7(1000, 1, 2));
  message.role = Role::kAssistant;
  message.content = std::string("nul \0 \"quoted\" é", 17);
  message.timestamp_s = 1234;
  message.status = MessageStatus::kCancelled;
  message.finish_reason = FinishReason::kCancelled;
  message.metadata = {{"k", ""}, {"\"", "v"}};
  message.model = "model";
  message.usage = Usage{1, 2};
  message.client_message_id = "client";
  message.branch = 3;
  message.attachments = {"b/\"é\".txt", "a"};
  item.reply = PendingReply{message.id.successor(), "server", 99, "other"};
  item.content_bytes = message.content.size();
  return item;
}

TEST(Items, AMessageComesBackAsItWasWritten) {
  auto item = full_message();
  auto read = read_message(written([&](JsonWriter& json) { write_item(json, item); }));
  EXPECT_EQ(read.message, item.message);
  EXPECT_EQ(read.conversation_id, item.conversation_id);
  EXPECT_EQ(read.user_id, item.user_id);
  EXPECT_EQ(read.idempotency, item.idempotency);
  EXPECT_EQ(read.ttl, item.ttl);
  EXPECT_EQ(read.reply, item.reply);
  EXPECT_EQ(read.content_bytes, item.content_bytes);
}

TEST(Items, TheSourceDocumentsAttributesHaveItsNamesAndTypes) {
  auto row = written([](JsonWriter& json) { write_item(json, full_message()); });
  for (const char* name : {"conversation_id", "message_id", "role", "content", "user_id"}) {
    EXPECT_TRUE(row.at(name).as_object().contains("S")) << name;
  }
  for (const char* name : {"timestamp", "ttl"}) {
    EXPECT_TRUE(row.at(name).as_object().contains("N")) << name;
  }
}

TEST(Items, AConversationComesBackAsItWasWritten) {
  ConversationItem item;
  auto& conversation = item.conversation;
  conversation.user_id = UserId("alice");
  conversation.id = ConversationId(Uuid::make_v7(1000, 1, 1));
  conversation.title = "title";
  conversation.created_at_s = 10;
  conversation.updated_at_s = 20;
  conversation.message_count = 30;
  conversation.version = 40;
  conversation.pinned = true;
  conversation.system_prompt = "system";
  conversation.metadata = {{"a", "b"}};
  conversation.ttl_seconds = 50;
  conversation.held_until_s = 60;
  item.idempotency = "idem#1";
  item.renewed_at_s = 0;
  conversation.summary = ContextSummary{"summary", message_id(3), 2};
  conversation.tree.branches = {{0, MessageId(), message_id(1)}, {1, message_id(2), message_id(4)}};
  conversation.tree.active = 1;
  conversation.tree.active_up_to = message_id(3);
  auto row = written([&](JsonWriter& json) { write_item(json, item, "change-7"); });
  auto read = read_conversation(row);
  EXPECT_EQ(read.conversation, conversation);
  EXPECT_EQ(read.idempotency, item.idempotency);
  EXPECT_EQ(read.renewed_at_s, 0);
  EXPECT_TRUE(remembers(row, "change-7"));
  EXPECT_FALSE(remembers(row, "other-7"));
}

TEST(Items, AConversationWithoutBranchesSaysNothingOfThem) {
  ConversationItem item;
  item.conversation.user_id = UserId("alice");
  item.conversation.id = ConversationId(Uuid::make_v7(1000, 1, 1));
  auto row = written([&](JsonWriter& json) { write_item(json, item, "change-7"); });
  for (const char* name : {"branches", "active_branch", "active_up_to", "summary_branch"}) {
    EXPECT_FALSE(row.contains(name)) << name;
  }
}

TEST(Items, GarbledBranchesAreAnError) {
  ConversationItem item;
  item.conversation.user_id = UserId("alice");
  item.conversation.id = ConversationId(Uuid::make_v7(1000, 1, 1));
  auto& tree = item.conversation.tree;
  tree.branches = {{0, message_id(1), message_id(2)}};
  tree.active = 1;
  auto row = written([&](JsonWriter& json) { write_item(json, item, "change-7"); });
  auto bytes = branch_bytes(tree);
  auto refuses = [](boost::json::object spoiled, const std::string& what) {
    try {
      read_conversation(spoiled);
      ADD_FAILURE() << what;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInternal) << what;
    }
  };
  auto with_bytes = [&row](const std::string& other) {
    auto spoiled = row;
    spoiled["branches"] = {{"B", base64_encode(other)}};
    return spoiled;
  };
  EXPECT_EQ(read_conversation(with_bytes(bytes)).conversation.tree, tree);
  refuses(with_bytes(""), "nothing");
  refuses(with_bytes(bytes.substr(0, bytes.size() - 1)), "cut");
  refuses(with_bytes("\2" + bytes.substr(1)), "another format");
  refuses(with_bytes("\1\1" + bytes.substr(2)), "its own parent");
  refuses(with_bytes(bytes.substr(0, 2) + bytes.substr(18) + bytes.substr(2, 16)), "fork past it");
  auto spoiled = row;
  spoiled["branches"] = {{"B", "AQ="}};
  refuses(spoiled, "no base64");
  spoiled = row;
  spoiled.erase("branches");
  refuses(spoiled, "of no branch");
  spoiled["active_branch"] = {{"N", "-1"}};
  refuses(spoiled, "below none");
}

TEST(Items, AnAnswerThatIsMadeOnceMoreSaysWhatItAnswers) {
  auto item = full_message();
  item.reply.reset();
  item.message.status = MessageStatus::kRunning;
  item.running = PendingReply{item.message.id, "server", 99, item.message.model};
  item.answers = message_id(1);
  auto read = read_message(written([&](JsonWriter& json) { write_item(json, item); }));
  EXPECT_EQ(read.answers, item.answers);
  EXPECT_EQ(read.running, item.running);
}

TEST(Items, ARowOfTheSourceDocumentsAttributesAloneIsRead) {
  auto row = boost::json::parse(R"({"user_id":{"S":"u"},"title":{"S":"t"},"created_at":{"N":"5"},
      "conversation_id":{"S":"018bcfe5-6800-7000-8000-000000000001"},
      "updated_at":{"N":"6"},"message_count":{"N":"-1"}})");
  auto read = read_conversation(row.as_object());
  EXPECT_EQ(read.conversation.version, 0U);
  EXPECT_EQ(read.conversation.message_count, 0U);  // behind; never below nothing
}

TEST(Items, ARowThatCannotBeIsAnErrorThatNamesTheAttribute) {
  for (auto [change, attribute] : std::vector<std::pair<std::string, std::string>>{
           {R"("timestamp":{"S":"5"})", "timestamp"},
           {R"("timestamp":{"N":"5.5"})", "timestamp"},
           {R"("role":{"S":"robot"})", "role"},
           {R"("role":7)", "role"},
           {R"("message_id":{"S":"a3bb189e-8bf9-4888-9912-ace4e6543002"})", "message_id"}}) {
    auto row = written([](JsonWriter& json) { write_item(json, full_message()); });
    auto other = boost::json::parse("{" + change + "}").as_object();
    row[attribute] = other.at(attribute);
    try {
      read_message(row);
      ADD_FAILURE() << change;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInternal);
      EXPECT_NE(error.detail().find(attribute), std::string::npos) << error.detail();
    }
  }
}

TEST(Items, AKeyIsItsUsersAlone) {
  EXPECT_NE(keyed_hash_key(UserId("ab"), "c"), keyed_hash_key(UserId("a"), "bc"));
  EXPECT_EQ(keyed_hash_key(UserId("a"), "b"), keyed_hash_key(UserId("a"), "b"));
}

TEST(Items, AGarbledFingerprintIsAnError) {
  KeyedItem item;
  item.hash_key = "idem#1";
  item.conversation_id = ConversationId(Uuid::make_v7(1000, 1, 1));
  item.fingerprint.back() = 0xfe;
  auto row = written([&](JsonWriter& json) { write_item(json, item); });
  EXPECT_EQ(read_keyed(row).fingerprint, item.fingerprint);
  for (const std::string& digits : {std::string(64, 'x'), std::string(62, '0'), std::string()}) {
    row["fingerprint"] = boost::json::object{{"S", digits}};
    EXPECT_THROW(read_keyed(row), Error) << digits;
  }
}

TEST(Items, AMessageOutlivesTheExpiryForAsLongAgain) {
  EXPECT_EQ(removal_time_s(60, 1000), 1120);
  EXPECT_EQ(removal_time_s(std::nullopt, 1000), std::nullopt);
}

TEST(Request, NamesInExpressionsArePlaceholders) {
  Request request("table");
  request.update("SET #ttl = :ttl, #a_1 = :a REMOVE #status").condition("#ttl < :ttl");
  request.number(":ttl", 7).string(":a", "x").set("Limit", std::int64_t{5});
  auto body = boost::json::parse(request.take_conditional()).as_object();
  EXPECT_EQ(body.at("ExpressionAttributeNames"),
            boost::json::parse(R"({"#ttl":"ttl","#a_1":"a_1","#status":"status"})"));
  EXPECT_EQ(body.at("ExpressionAttributeValues"),
            boost::json::parse(R"({":ttl":{"N":"7"},":a":{"S":"x"}})"));
  EXPECT_EQ(body.at("Limit"), 5);
}

}  // namespace
}  // namespace colloquy::store::dynamodb
