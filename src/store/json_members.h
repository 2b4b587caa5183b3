// What of conversations and messages the API and exports write alike as JSON. Pure; any thread.
#pragma once

#include "base/json_writer.h"
#include "store/types.h"

namespace colloquy::store {

// Members of the object that is being written, under their names.
void write_metadata(JsonWriter& json, const Metadata& metadata);
void write_attachments(JsonWriter& json, const Attachments& paths);  // nothing where there are none
void write_usage(JsonWriter& json, const Usage& usage);

// An object of its own.
void write_context_settings(JsonWriter& json, const ContextSettings& context);

}  // namespace colloquy::store
