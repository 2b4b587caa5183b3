// A conversation as a person reads it. Pure; any thread.
#pragma once

#include <string>

#include "store/types.h"

namespace colloquy::exchange {

// The name of its file, without folder: the day, the title as far as it makes a name on every
// system, and a part of the id, so that no two are the same.
std::string markdown_name(const store::Conversation& conversation);
// Append to `out`.
void write_markdown_head(std::string& out, const store::Conversation& conversation);
void write_markdown(std::string& out, const store::Message& message);

}  // namespace colloquy::exchange
