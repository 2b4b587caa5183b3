// The contract of taking back a conversation that was exported, whole, into a store that serves
// (transfer.h moves between stores that do not). Beside store.h, since no user's call but an import
// has use for it.
//
// From any event loop, any number of calls at once. Errors: kConflict (it has expired, or one of
// this id is being deleted: the message says which), kUnavailable and kInternal as in store.h;
// calling again with the same is safe.
#pragma once

#include <optional>
#include <vector>

#include "base/task.h"
#include "store/types.h"

namespace colloquy::store {

class Intake {
 public:
  virtual ~Intake() = default;

  // Writes the conversation of `conversation.user_id` with all of its messages: ids in ascending
  // order, branches as its tree says, none kRunning. Versions, ids and times are as given, but it
  // was active now at the latest. No reader sees a part of it; when it returns, it survives the
  // loss of power; where it is cut short, nothing stays, or what stays is removed. Nobody else may
  // ever have had this id. False when it is there already, whatever is in it: nothing is written.
  virtual Task<bool> take(Conversation conversation, std::vector<Message> messages) = 0;
};

}  // namespace colloquy::store
