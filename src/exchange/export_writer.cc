#include "exchange/export_writer.h"

#include "base/json_writer.h"
#include "store/json_members.h"

namespace colloquy::exchange {
namespace {

void write_answer(JsonWriter& json, const store::Message& message) {
  bool running = message.status == store::MessageStatus::kRunning;
  auto status = running ? store::MessageStatus::kInterrupted : message.status;
  json.key("status").string(store::status_name(status));
  if (message.finish_reason != store::FinishReason::kNone) {
    json.key("finish_reason").string(store::finish_reason_name(message.finish_reason));
  }
  if (!message.model.empty()) json.key("model").string(message.model);
  if (message.usage) store::write_usage(json, *message.usage);
}

}  // namespace

void write_first_line(std::string& out, std::int64_t now_s) {
  JsonWriter json(out);
  json.begin_object().key("type").string("export").key("format").string("colloquy");
  json.key("version").integer(1).key("exported_at").integer(now_s).end_object();
  out.push_back('\n');
}

void write_head(std::string& out, const store::Conversation& conversation) {
  JsonWriter json(out);
  json.begin_object().key("type").string("conversation");
  json.key("conversation_id").uuid(conversation.id.uuid());
  json.key("title").string(conversation.title);
  json.key("created_at").integer(conversation.created_at_s);
  json.key("updated_at").integer(conversation.updated_at_s);
  json.key("message_count").integer(static_cast<std::int64_t>(conversation.message_count));
  if (conversation.pinned) json.key("pinned").boolean(true);
  if (conversation.archived) json.key("archived").boolean(true);
  if (conversation.temporary) json.key("temporary").boolean(true);
  if (!conversation.system_prompt.empty()) {
    json.key("system_prompt").string(conversation.system_prompt);
  }
  if (!conversation.metadata.empty()) store::write_metadata(json, conversation.metadata);
  if (conversation.ttl_seconds) json.key("ttl_seconds").integer(*conversation.ttl_seconds);
  if (!conversation.context.empty()) {
    json.key("context");
    store::write_context_settings(json, conversation.context);
  }
  json.end_object();
  out.push_back('\n');
}

void write_message(std::string& out, const store::Message& message, bool active) {
  JsonWriter json(out);
  json.begin_object().key("type").string("message");
  json.key("message_id").uuid(message.id.uuid());
  if (message.parent) json.key("parent_id").uuid(message.parent->uuid());
  json.key("role").string(store::role_name(message.role));
  json.key("content").string(message.content);
  json.key("timestamp").integer(message.timestamp_s);
  if (message.role == store::Role::kAssistant) write_answer(json, message);
  if (!message.metadata.empty()) store::write_metadata(json, message.metadata);
  if (!message.client_message_id.empty()) {
    json.key("client_message_id").string(message.client_message_id);
  }
  store::write_attachments(json, message.attachments);
  if (active) json.key("active").boolean(true);
  json.end_object();
  out.push_back('\n');
}

void write_dropped(std::string& out, ConversationId id) {
  JsonWriter json(out);
  json.begin_object().key("type").string("dropped");
  json.key("conversation_id").uuid(id.uuid()).end_object();
  out.push_back('\n');
}

void write_file(std::string& out, const ExportedFile& file) {
  JsonWriter json(out);
  json.begin_object().key("type").string("file").key("path").string(file.path);
  json.key("size").integer(static_cast<std::int64_t>(file.bytes));
  json.key("modified_at").integer(file.modified_at_s);
  json.key("etag").string("\"" + file.tag + "\"");
  if (file.changed) json.key("changed").boolean(true);
  if (file.damaged) json.key("damaged").boolean(true);
  json.end_object();
  out.push_back('\n');
}

void write_last_line(std::string& out, std::uint64_t conversations, std::uint64_t messages) {
  JsonWriter json(out);
  json.begin_object().key("type").string("end");
  json.key("conversations").integer(static_cast<std::int64_t>(conversations));
  json.key("messages").integer(static_cast<std::int64_t>(messages)).end_object();
  out.push_back('\n');
}

}  // namespace colloquy::exchange
