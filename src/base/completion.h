// One result, carried from a worker thread to the coroutine that awaits it.
//
// The coroutine makes a Completion, hands it to a worker (by shared_ptr) and
// awaits `wait()` on its own event loop; the worker calls `set_value` or
// `set_error` from any thread, exactly once. A worker that finishes many at a
// time collects them in a WakeList, which posts once to each event loop instead
// of once for each waiter.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "base/task.h"

namespace colloquy {

namespace detail {

// The type-erased resumption of one waiting coroutine.
class Waiter {
 public:
  explicit Waiter(boost::asio::any_io_executor executor) : executor_(std::move(executor)) {}
  virtual ~Waiter() = default;
  virtual void resume() = 0;  // on executor()
  const boost::asio::any_io_executor& executor() const { return executor_; }

 private:
  boost::asio::any_io_executor executor_;
};

template <class Handler>
class HandlerWaiter final : public Waiter {
 public:
  HandlerWaiter(boost::asio::any_io_executor executor, Handler handler)
      : Waiter(std::move(executor)), handler_(std::move(handler)) {}
  void resume() override { std::move(handler_)(); }

 private:
  Handler handler_;
};

}  // namespace detail

// Waiters that are ready to go on. Not thread-safe; `wake_all` empties it.
class WakeList {
 public:
  void add(std::unique_ptr<detail::Waiter> waiter) {
    if (waiter) waiters_.push_back(std::move(waiter));
  }
  void wake_all();

 private:
  std::vector<std::unique_ptr<detail::Waiter>> waiters_;
};

namespace detail {

// Parks at most one coroutine until it is released. Thread-safe.
class Gate {
 public:
  // Resumes at once when the gate was already released.
  Task<> wait() {
    co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void()>(
        [this](auto handler) { park(std::move(handler)); }, boost::asio::use_awaitable);
  }

  // Releases the gate; the parked waiter, if any, is the caller's to wake.
  std::unique_ptr<Waiter> release() {
    std::scoped_lock lock(mutex_);
    released_ = true;
    return std::move(waiter_);
  }

 private:
  template <class Handler>
  void park(Handler handler) {
    auto executor = boost::asio::get_associated_executor(handler);
    auto waiter = std::make_unique<HandlerWaiter<Handler>>(executor, std::move(handler));
    {
      std::scoped_lock lock(mutex_);
      if (!released_) {
        waiter_ = std::move(waiter);
        return;
      }
    }
    boost::asio::post(executor, [waiter = std::move(waiter)]() mutable { waiter->resume(); });
  }

  std::mutex mutex_;
  bool released_ = false;           // guarded by mutex_
  std::unique_ptr<Waiter> waiter_;  // guarded by mutex_
};

}  // namespace detail

template <class T>
class Completion {
 public:
  // Waits for the result; throws what the worker set as its error. Once only.
  Task<T> wait() {
    co_await gate_.wait();
    if (error_) std::rethrow_exception(error_);
    if constexpr (!std::is_void_v<T>) co_return std::move(*value_);
  }

  // The worker's side. Without a WakeList the waiter is woken by itself.
  template <class... Value>
  void set_value(WakeList& wakes, Value&&... value) {
    value_.emplace(std::forward<Value>(value)...);
    wakes.add(gate_.release());
  }
  void set_error(WakeList& wakes, std::exception_ptr error) {
    error_ = std::move(error);
    wakes.add(gate_.release());
  }
  template <class... Value>
  void set_value_now(Value&&... value) {
    WakeList wakes;
    set_value(wakes, std::forward<Value>(value)...);
    wakes.wake_all();
  }
  void set_error_now(std::exception_ptr error) {
    WakeList wakes;
    set_error(wakes, std::move(error));
    wakes.wake_all();
  }

 private:
  using Stored = std::conditional_t<std::is_void_v<T>, std::monostate, T>;
  // Written by the worker before the gate is released, read after.
  std::optional<Stored> value_;
  std::exception_ptr error_;
  detail::Gate gate_;
};

}  // namespace colloquy
