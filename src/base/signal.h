// Something happened: wakes every coroutine that waits for it. Thread-safe.
//
// Used as a condition variable for coroutines: read the state and take a
// `ticket()` under one lock, then `wait(ticket, …)`; a notify that came between
// the two is not lost.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "base/task.h"

namespace colloquy {

class Signal {
 public:
  Signal();
  ~Signal();
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;

  // How many times it was notified so far.
  std::uint64_t ticket() const;
  // True once it was notified more often than `ticket`; false when the time is up first.
  Task<bool> wait(std::uint64_t ticket, std::chrono::milliseconds at_most);
  void notify_all();

 private:
  struct Sleeper;
  mutable std::mutex mutex_;
  std::uint64_t count_ = 0;                         // guarded by mutex_
  std::vector<std::shared_ptr<Sleeper>> sleepers_;  // guarded by mutex_
};

}  // namespace colloquy
