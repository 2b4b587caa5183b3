// The lines of an export: what import_reader.h takes back. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>

#include "store/types.h"

namespace colloquy::exchange {

// Each appends one line to `out`.
void write_first_line(std::string& out, std::int64_t now_s);
void write_head(std::string& out, const store::Conversation& conversation);
// `active`: it is on the active way. One that is being made is told as interrupted.
void write_message(std::string& out, const store::Message& message, bool active);
// The conversation whose lines came before was deleted meanwhile: what was told of it is no part.
void write_dropped(std::string& out, ConversationId id);
// A file of the user's. `changed`: while it was read for the archive that this is in, whose copy
// may be of no one moment. `damaged`: it could not be read to its end, and the archive has what
// came before, or nothing of it.
struct ExportedFile {
  std::string path;
  std::uint64_t bytes = 0;
  std::int64_t modified_at_s = 0;
  std::string tag;  // without quotes
  bool changed = false;
  bool damaged = false;
};
void write_file(std::string& out, const ExportedFile& file);
// The last line; an export without it is cut off.
void write_last_line(std::string& out, std::uint64_t conversations, std::uint64_t messages);

}  // namespace colloquy::exchange
