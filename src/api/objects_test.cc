#include "api/objects.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace colloquy::api {
namespace {

std::string shown(const store::Message& message) {
  std::string out;
  JsonWriter json(out);
  write_message(json, message);
  return out;
}

std::string shown(const store::Conversation& conversation) {
  std::string out;
  JsonWriter json(out);
  write_conversation(json, conversation);
  return out;
}

TEST(Objects, AUsersMessageHasWhatTheSourceDocumentShows) {
  store::Message message;
  message.id = *MessageId::parse("017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
  message.content = "Hello \"you\"";
  message.timestamp_s = 1234567890;
  EXPECT_EQ(shown(message), R"({"message_id":"017f22e2-79b0-7cc3-98c4-dc0c0c07398f","role":"user",)"
                            R"("content":"Hello \"you\"","timestamp":1234567890})");
}

TEST(Objects, AttachmentsAreObjectsInTheirOrder) {
  store::Message message;
  message.attachments = {"b", "a/\"c\""};
  auto object = boost::json::parse(shown(message)).as_object();
  EXPECT_EQ(boost::json::serialize(object.at("attachments")),
            R"([{"path":"b"},{"path":"a/\"c\""}])");
}

TEST(Objects, AnAnswerAlsoShowsHowItCameAbout) {
  store::Message message;
  message.role = store::Role::kAssistant;
  message.status = store::MessageStatus::kCancelled;
  message.finish_reason = store::FinishReason::kCancelled;
  message.model = "demo";
  message.usage = store::Usage{3, 4};
  message.metadata = {{"k", "v"}};
  auto object = boost::json::parse(shown(message)).as_object();
  EXPECT_EQ(object.at("status").as_string(), "cancelled");
  EXPECT_EQ(object.at("finish_reason").as_string(), "cancelled");
  EXPECT_EQ(object.at("model").as_string(), "demo");
  EXPECT_EQ(object.at("usage").as_object().at("completion_tokens").as_int64(), 4);
  EXPECT_EQ(object.at("metadata").as_object().at("k").as_string(), "v");
}

TEST(Objects, AConversationShowsItsExpiryOnlyWhereItHasOne) {
  store::Conversation conversation;
  conversation.title = "T";
  conversation.updated_at_s = 100;
  auto object = boost::json::parse(shown(conversation)).as_object();
  EXPECT_FALSE(object.contains("expires_at"));
  EXPECT_FALSE(object.contains("user_id"));
  conversation.ttl_seconds = 5;
  object = boost::json::parse(shown(conversation)).as_object();
  EXPECT_EQ(object.at("expires_at").as_int64(), 105);
}

TEST(Objects, BranchesShowWhereThereAreAny) {
  store::Conversation conversation;
  EXPECT_FALSE(boost::json::parse(shown(conversation)).as_object().contains("branch_count"));
  conversation.tree.branches.resize(2);
  EXPECT_EQ(boost::json::parse(shown(conversation)).as_object().at("branch_count").as_int64(), 3);
  store::Message message;
  message.parent = MessageId::parse("017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
  std::string out;
  JsonWriter json(out);
  write_message(json, message, false);
  auto object = boost::json::parse(out).as_object();
  EXPECT_EQ(object.at("parent_id").as_string(), message.parent->to_string());
  EXPECT_FALSE(object.at("active").as_bool());
}

}  // namespace
}  // namespace colloquy::api
