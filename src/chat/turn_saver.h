// Makes the answers of turns durable. For turns.h and its parts alone; callable from every event
// loop.
#pragma once

#include <optional>

#include "base/error.h"
#include "base/task.h"
#include "chat/running_turn.h"
#include "store/store.h"

namespace colloquy::chat {

// Whether trying again later may help.
bool is_passing(const Error& error);

class TurnSaver {
 public:
  // The store outlives it.
  explicit TurnSaver(store::Store& store) : store_(store) {}

  // Saves the answer, trying again over some seconds while the store is out, and gives it the time
  // that the store saved it with. What stands in the way, if it cannot be saved.
  Task<std::optional<Error>> save(const RunningTurn& turn, store::Message& reply);

 private:
  store::Store& store_;
};

}  // namespace colloquy::chat
