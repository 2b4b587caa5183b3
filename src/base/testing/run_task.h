// For tests: runs an event loop until a coroutine has ended, and returns or throws what it does.
// May be called from any thread that is not an event loop.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <future>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "base/task.h"

namespace colloquy {

template <class T>
T run_task(boost::asio::io_context& loop, Task<T> task) {
  loop.restart();
  auto future = boost::asio::co_spawn(loop, std::move(task), boost::asio::use_future);
  while (future.wait_for(std::chrono::seconds(0)) != std::future_status::ready) loop.run_one();
  return future.get();
}

// A loop is lent, not made for each call, because the thread that posted to it may still be inside
// it when its run has ended.
class LentLoop {
 public:
  LentLoop() {
    std::scoped_lock lock(pool().mutex);
    if (pool().idle.empty()) pool().idle.push_back(std::make_unique<boost::asio::io_context>());
    loop_ = std::move(pool().idle.back());
    pool().idle.pop_back();
    loop_->restart();
  }
  ~LentLoop() {
    std::scoped_lock lock(pool().mutex);
    pool().idle.push_back(std::move(loop_));
  }
  LentLoop(const LentLoop&) = delete;
  LentLoop& operator=(const LentLoop&) = delete;

  boost::asio::io_context& operator*() { return *loop_; }

 private:
  struct Pool {
    std::mutex mutex;
    std::vector<std::unique_ptr<boost::asio::io_context>> idle;  // guarded by mutex
  };
  static Pool& pool() {
    static Pool pool;
    return pool;
  }

  std::unique_ptr<boost::asio::io_context> loop_;
};

// On a loop of its own, until that has nothing more to do.
template <class T>
T run_task(Task<T> task) {
  LentLoop loop;
  auto future = boost::asio::co_spawn(*loop, std::move(task), boost::asio::use_future);
  (*loop).run();
  return future.get();
}

}  // namespace colloquy
