// Threads for searches: few, with a bounded queue and a deadline for each, so that searches never
// hold up an event loop and never form a line that grows.
//
// `run` may be awaited on any event loop; it resumes there.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/complete_with.h"
#include "base/completion.h"
#include "base/task.h"

namespace colloquy::search {

using Deadline = std::chrono::steady_clock::time_point;

// Throws kUnavailable past it.
void check_deadline(Deadline deadline);

class QueryPool {
 public:
  QueryPool(std::size_t threads, std::size_t queue_limit);
  // Runs what is queued, then ends the threads.
  ~QueryPool();

  // What `function(worker)` returns or throws, run on thread number `worker` of the pool.
  // kUnavailable past the bound, and when its turn has not come before the deadline.
  template <class Function>
  Task<std::invoke_result_t<Function&, std::size_t>> run(Function function, Deadline deadline) {
    using Result = std::invoke_result_t<Function&, std::size_t>;
    auto completion = std::make_shared<Completion<Result>>();
    submit([completion, deadline, function = std::move(function)](std::size_t worker) mutable {
      complete_with(*completion, [&] {
        check_deadline(deadline);
        return function(worker);
      });
    });
    co_return co_await completion->wait();
  }

  std::size_t threads() const { return threads_.size(); }

 private:
  using Job = std::function<void(std::size_t)>;
  void submit(Job job);
  void work(std::size_t worker);

  const std::size_t queue_limit_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> queue_;  // guarded by mutex_
  bool stopping_ = false;  // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace colloquy::search
