// Threads for calls that block, so that no event loop does. The queue is bounded.
//
// `run` may be awaited on any event loop; it resumes there.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/complete_with.h"
#include "base/completion.h"
#include "base/task.h"

namespace colloquy {

class ThreadPool {
 public:
  // `full_message`: what a client is told where the queue is full.
  ThreadPool(std::size_t threads, std::size_t queue_limit, std::string full_message);
  // Runs what is queued, then ends the threads. Not on a thread of the pool.
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // What `function` returns or throws, run on a thread of the pool. kUnavailable past the bound.
  // The coroutine may be gone before the function runs: it holds what it uses.
  template <class Function>
  Task<std::invoke_result_t<Function&>> run(Function function) {
    using Result = std::invoke_result_t<Function&>;
    auto completion = std::make_shared<Completion<Result>>();
    submit([completion, function = std::move(function)]() mutable {
      complete_with(*completion, function);
    });
    co_return co_await completion->wait();
  }

  // Runs it, bound or not, and does not say when. It throws nothing.
  void post(std::function<void()> job);

 private:
  void submit(std::function<void()> job);
  void work();

  const std::size_t queue_limit_;
  const std::string full_message_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;  // guarded by mutex_
  bool stopping_ = false;                    // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace colloquy
