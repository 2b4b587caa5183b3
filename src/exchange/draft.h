// A conversation as a file has it, before it has a place in the store; and how it gets one. Plain
// values and pure functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "store/types.h"

namespace colloquy::exchange {

struct DraftMessage {
  std::string id;          // unlike all others of the conversation
  std::string parent;      // the id of the one before it; empty: it is a first one
  store::Message message;  // without id, branch and parent
};

struct Draft {
  std::string source;                // of its id: "colloquy", "chatgpt" or "open-webui"
  std::string id;                    // there
  store::Conversation conversation;  // without user, id, count and tree
  std::vector<DraftMessage> messages;
  std::string active;        // the id of the last message of the active way; empty: the newest
  std::size_t left_out = 0;  // what the file has and Colloquy has no place for
};

// The conversation's id in this account: always the same for the same user, source and id, so that
// what is imported twice is there once; never that of another account's, so that nobody can write
// into what is not theirs.
ConversationId place_of(const UserId& user, const Draft& draft);

struct Placed {
  store::Conversation conversation;
  std::vector<store::Message> messages;  // ids ascending
  std::size_t left_out = 0;  // with messages for which the table of branches had no room
};
// Messages of Colloquy's own keep their ids; others get some in the order of the tree, the active
// way first. What hangs on no first message is left out.
Placed place(const UserId& user, Draft draft);

}  // namespace colloquy::exchange
