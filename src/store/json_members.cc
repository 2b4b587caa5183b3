#include "store/json_members.h"

namespace colloquy::store {

void write_metadata(JsonWriter& json, const Metadata& metadata) {
  json.key("metadata").begin_object();
  for (const auto& [name, value] : metadata) json.data_key(name).string(value);
  json.end_object();
}

void write_attachments(JsonWriter& json, const Attachments& paths) {
  if (paths.empty()) return;
  json.key("attachments").begin_array();
  for (const auto& path : paths) json.begin_object().key("path").string(path).end_object();
  json.end_array();
}

void write_usage(JsonWriter& json, const Usage& usage) {
  json.key("usage").begin_object();
  json.key("prompt_tokens").integer(usage.prompt_tokens);
  json.key("completion_tokens").integer(usage.completion_tokens).end_object();
}

void write_context_settings(JsonWriter& json, const ContextSettings& context) {
  json.begin_object();
  if (context.messages) json.key("messages").integer(*context.messages);
  if (context.tokens) json.key("tokens").integer(*context.tokens);
  if (context.summary) json.key("summary").boolean(*context.summary);
  json.end_object();
}

}  // namespace colloquy::store
