// Runs a coroutine to its end on an event loop, and hands over what it returned or
// threw. For tests; may be called from any thread that is not an event loop.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/task.h"

namespace colloquy::store {

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

template <class T>
T run_task(Task<T> task) {
  LentLoop loop;
  std::exception_ptr error;
  if constexpr (std::is_void_v<T>) {
    boost::asio::co_spawn(*loop, std::move(task), [&](std::exception_ptr e) { error = e; });
    (*loop).run();
    if (error) std::rethrow_exception(error);
  } else {
    std::optional<T> result;
    boost::asio::co_spawn(*loop, std::move(task), [&](std::exception_ptr e, T value) {
      error = e;
      if (!e) result.emplace(std::move(value));
    });
    (*loop).run();
    if (error) std::rethrow_exception(error);
    return std::move(*result);
  }
}

}  // namespace colloquy::store
