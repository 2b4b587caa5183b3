#include "search/index_progress.h"

namespace colloquy::search {

IndexProgress::IndexProgress(telemetry::Metrics& metrics)
    : lag_(metrics.gauge("colloquy_search_lag_seconds",
                         "How long ago the index had every change for the last time.")),
      complete_(metrics.gauge("colloquy_search_complete",
                              "1 where the index holds everything, 0 while it is made or is "
                              "behind.")),
      caught_up_at_(std::chrono::steady_clock::now()) {}

void IndexProgress::set_whole(bool whole) {
  std::scoped_lock lock(mutex_);
  whole_ = whole;
}

void IndexProgress::set_caught_up(Time at) {
  std::scoped_lock lock(mutex_);
  known_ = true;
  caught_up_at_ = at;
}

bool IndexProgress::complete() const {
  std::scoped_lock lock(mutex_);
  return whole_ && known_ && std::chrono::steady_clock::now() < caught_up_at_ + kBehind;
}

void IndexProgress::show() const {
  complete_.Set(complete() ? 1 : 0);
  std::scoped_lock lock(mutex_);
  auto since = std::chrono::steady_clock::now() - caught_up_at_;
  lag_.Set(std::chrono::duration<double>(since).count());
}

}  // namespace colloquy::search
