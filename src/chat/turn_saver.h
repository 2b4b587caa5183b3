// Makes the answers of turns durable. For turns.h and its parts alone; callable from every event
// loop.
#pragma once

#include <chrono>
#include <memory>
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
  // The store outlives it. `partial_interval`: 0 for no partial saves.
  TurnSaver(store::Store& store, std::chrono::milliseconds partial_interval)
      : store_(store), partial_interval_(partial_interval) {}

  // Saves what was said so far, at intervals, until the model has ended. Detached, on the turn's
  // event loop.
  void begin(std::shared_ptr<RunningTurn> turn) const;
  // The model has ended. When it returns, no partial save is under way.
  static Task<> end(RunningTurn& turn);

  // Saves the answer, trying again over some seconds while the store is out, and gives it the time
  // that the store saved it with. What stands in the way, if it cannot be saved.
  Task<std::optional<Error>> save(const RunningTurn& turn, store::Message& reply);

 private:
  static Task<> save_parts(store::Store& store, std::chrono::milliseconds interval,
                           std::shared_ptr<RunningTurn> turn);

  store::Store& store_;
  const std::chrono::milliseconds partial_interval_;
};

}  // namespace colloquy::chat
