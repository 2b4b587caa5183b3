// How far an index is, for searches and for operators: also while a round of the feeder takes long
// or fails. Thread-safe.
#pragma once

#include <chrono>
#include <mutex>

#include "telemetry/metrics.h"

namespace colloquy::search {

class IndexProgress {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // A search says that it is not complete when the index is so far behind.
  static constexpr auto kBehind = std::chrono::seconds(10);

  // Outlived by `metrics`.
  explicit IndexProgress(telemetry::Metrics& metrics);

  // An index has all that there was when it was begun, and follows the store.
  void set_whole(bool whole);
  // All changes that there were then are in it.
  void set_caught_up(Time at);
  // It has everything of some seconds ago.
  bool complete() const;
  void show() const;

 private:
  telemetry::Gauge& lag_;
  telemetry::Gauge& complete_;
  mutable std::mutex mutex_;
  bool whole_ = false;  // guarded by mutex_
  bool known_ = false;  // guarded by mutex_: it was caught up at all
  Time caught_up_at_;   // guarded by mutex_; at first: its own beginning
};

}  // namespace colloquy::search
