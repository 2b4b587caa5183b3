// Threads for reads that must go to the disk. The queue is bounded.
//
// `run` may be awaited on any event loop; it resumes there.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/completion.h"
#include "base/task.h"

namespace colloquy::store {

class ReaderPool {
 public:
  ReaderPool(std::size_t threads, std::size_t queue_limit);
  // Runs what is queued, then ends the threads.
  ~ReaderPool();

  // What `function` returns or throws, run on a thread of the pool. kUnavailable past the bound.
  template <class Function>
  Task<std::invoke_result_t<Function&>> run(Function function) {
    using Result = std::invoke_result_t<Function&>;
    auto completion = std::make_shared<Completion<Result>>();
    submit([completion, function = std::move(function)]() mutable {
      try {
        completion->set_value_now(function());
      } catch (...) {
        completion->set_error_now(std::current_exception());
      }
    });
    co_return co_await completion->wait();
  }

 private:
  void submit(std::function<void()> job);
  void work();

  const std::size_t queue_limit_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;  // guarded by mutex_
  bool stopping_ = false;                    // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace colloquy::store
