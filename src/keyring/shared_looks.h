// Looks for users' keys, one at a time for each name: who needs a key that is being looked for
// waits for that look. So a key is unwrapped once for all requests of its user, however far away
// the master key is.
//
// Any thread; a part is of one coroutine, and may outlive what made it.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/error.h"
#include "base/signal.h"
#include "base/task.h"
#include "keyring/data_key.h"

namespace colloquy::keyring {

class SharedLooks {
  struct Look;
  struct State;

 public:
  using Key = std::shared_ptr<const DataKey>;

  // In one look.
  class Part {
   public:
    // One that leads, and has gone without an end(), leaves the look to another.
    ~Part();
    Part(const Part&) = delete;
    Part& operator=(const Part&) = delete;

    // It looks, and says what it has found; the others wait.
    bool leads() const { return leads_; }
    // A key, null for none, or a failure; neither: it came to nothing.
    void end(std::optional<Key> key, std::optional<Error> failure);
    // The one that leads has found that, or nullopt: look again. Throws its failure, and
    // kUnavailable after `at_most`.
    Task<std::optional<Key>> wait(std::chrono::milliseconds at_most);

   private:
    friend class SharedLooks;
    Part(std::shared_ptr<State> state, std::string name);
    bool is_over() const;

    const std::shared_ptr<State> state_;
    const std::string name_;
    std::shared_ptr<Look> look_;
    bool leads_ = false;
  };

  SharedLooks();
  Part join(std::string name) { return {state_, std::move(name)}; }
  // Who comes from now on waits for no look that has begun.
  void forget(const std::string& name);
  void forget_all();

 private:
  const std::shared_ptr<State> state_;
};

}  // namespace colloquy::keyring
