// What the objects of each kind of file say. Each throws Error(kInvalid), in words for the user,
// where the conversation cannot be had. Pure; any thread.
#pragma once

#include <boost/json/object.hpp>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "base/limits.h"
#include "exchange/draft.h"

namespace colloquy::exchange {

struct ImportLimits {
  // Of all that an id is made of.
  std::int64_t latest_s = std::numeric_limits<std::int64_t>::max();
  std::size_t content_bytes = limits::kContentBytesDefault;  // of a message
  std::size_t conversation_bytes = 64 * limits::kMiB;        // of one, in the file
  std::size_t messages = 100'000;                            // of one
  std::size_t nodes = 200'000;                               // of one, with those left out
  std::size_t values = 2'000'000;                            // of JSON, of one
};

// Colloquy's own: a line for the head of a conversation, then one for each message.
Draft read_head(const boost::json::object& line);
DraftMessage read_message(const boost::json::object& line);
// ChatGPT's conversations.json: nodes that are hidden or no text of a person or the model are left
// out, and what hangs on them hangs on what is before them; a part that is no text is noted by its
// kind.
Draft read_chatgpt(const boost::json::object& conversation, const ImportLimits& limits);
// Open WebUI's export of chats.
Draft read_open_webui(const boost::json::object& chat, const ImportLimits& limits);

// Whether the limits of the product allow it: throws Error(kInvalid). A title that is too long is
// cut, an empty one is the usual one.
void check(Draft& draft, const ImportLimits& limits);

}  // namespace colloquy::exchange
