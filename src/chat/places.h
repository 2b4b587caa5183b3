// Where in the tree of a conversation's messages (store/branches.h) something new goes, as a
// request says it: by the ids of messages. Callable from every event loop.
#pragma once

#include <optional>

#include "base/task.h"
#include "store/store.h"

namespace colloquy::chat {

// Nothing of it: the end of the active way. At most one of the two.
struct PlaceRequest {
  std::optional<std::optional<MessageId>> parent;  // after this one; nullopt: before the first
  std::optional<MessageId> edit_of;                // in the place of this message of the user

  bool empty() const { return !parent && !edit_of; }
};

// Where the way to `message` ends before it.
store::TreePlace place_before(const store::Message& message);

// nullopt: the end of the active way. kNotFound: no such conversation. kInvalid, naming parent_id
// or edit_of: no such message there, or not one of the user's.
Task<std::optional<store::TreePlace>> find_place(store::Store& store, UserId user,
                                                 ConversationId id, PlaceRequest asked);

// What is answered once more: the user's message `message`, or the one before it where that is an
// answer. kNotFound: no such message or conversation; kInvalid: it is neither.
Task<store::Message> find_prompt(store::Store& store, UserId user, ConversationId id,
                                 MessageId message);

// A message of the conversation that a field of a request names. kNotFound: no such conversation;
// kInvalid, naming the field: no such message there.
Task<store::Message> find_named(store::Store& store, UserId user, ConversationId id,
                                MessageId message, std::string field);

}  // namespace colloquy::chat
