// The JSON form of what the API returns (openapi.yaml: Conversation, Message).
#pragma once

#include "base/json_writer.h"
#include "store/types.h"

namespace colloquy::api {

void write_conversation(JsonWriter& json, const store::Conversation& conversation);
void write_context_settings(JsonWriter& json, const store::ContextSettings& context);
void write_message(JsonWriter& json, const store::Message& message);

}  // namespace colloquy::api
