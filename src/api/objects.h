// The JSON form of what the API returns (openapi.yaml: Conversation, Message).
#pragma once

#include <optional>

#include "base/json_writer.h"
#include "store/types.h"

namespace colloquy::api {

void write_conversation(JsonWriter& json, const store::Conversation& conversation);
// `active`: whether it is on the active way, where the reader has asked for all branches.
void write_message(JsonWriter& json, const store::Message& message,
                   std::optional<bool> active = std::nullopt);

}  // namespace colloquy::api
