#include "api/objects.h"

#include "store/json_members.h"

namespace colloquy::api {
namespace {

void write_answer_fields(JsonWriter& json, const store::Message& message) {
  json.key("status").string(store::status_name(message.status));
  if (!message.model.empty()) json.key("model").string(message.model);
  if (message.usage) store::write_usage(json, *message.usage);
  if (message.finish_reason != store::FinishReason::kNone) {
    json.key("finish_reason").string(store::finish_reason_name(message.finish_reason));
  }
}

}  // namespace

void write_conversation(JsonWriter& json, const store::Conversation& conversation) {
  json.begin_object();
  json.key("conversation_id").uuid(conversation.id.uuid());
  json.key("title").string(conversation.title);
  json.key("created_at").integer(conversation.created_at_s);
  json.key("updated_at").integer(conversation.updated_at_s);
  json.key("message_count").integer(static_cast<std::int64_t>(conversation.message_count));
  if (!conversation.tree.plain()) {
    auto branches = conversation.tree.branches.size() + 1;
    json.key("branch_count").integer(static_cast<std::int64_t>(branches));
  }
  json.key("pinned").boolean(conversation.pinned);
  json.key("archived").boolean(conversation.archived);
  store::write_metadata(json, conversation.metadata);
  if (!conversation.system_prompt.empty()) {
    json.key("system_prompt").string(conversation.system_prompt);
  }
  if (conversation.temporary) json.key("temporary").boolean(true);
  if (conversation.ttl_seconds) json.key("ttl_seconds").integer(*conversation.ttl_seconds);
  if (auto expires = conversation.expires_at_s()) json.key("expires_at").integer(*expires);
  if (!conversation.context.empty()) {
    json.key("context");
    store::write_context_settings(json, conversation.context);
  }
  json.end_object();
}

void write_message(JsonWriter& json, const store::Message& message, std::optional<bool> active) {
  json.begin_object();
  json.key("message_id").uuid(message.id.uuid());
  if (message.parent) json.key("parent_id").uuid(message.parent->uuid());
  json.key("role").string(store::role_name(message.role));
  json.key("content").string(message.content);
  json.key("timestamp").integer(message.timestamp_s);
  if (message.role == store::Role::kAssistant) write_answer_fields(json, message);
  if (!message.metadata.empty()) store::write_metadata(json, message.metadata);
  if (!message.client_message_id.empty()) {
    json.key("client_message_id").string(message.client_message_id);
  }
  store::write_attachments(json, message.attachments);
  if (active) json.key("active").boolean(*active);
  json.end_object();
}

}  // namespace colloquy::api
