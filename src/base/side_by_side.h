// Two coroutines at once on one event loop.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include "base/completion.h"
#include "base/task.h"

namespace colloquy {

// Waits for both, also when one throws; then throws what the second or the first threw.
template <class A, class B>
Task<std::pair<A, B>> side_by_side(Task<A> first, Task<B> second) {
  auto executor = co_await boost::asio::this_coro::executor;
  auto other = std::make_shared<Completion<A>>();
  boost::asio::co_spawn(executor, std::move(first), [other](std::exception_ptr error, A value) {
    if (error) {
      other->set_error_now(error);
    } else {
      other->set_value_now(std::move(value));
    }
  });
  std::optional<B> b;
  std::exception_ptr error;
  try {
    b.emplace(co_await std::move(second));
  } catch (...) {
    error = std::current_exception();
  }
  std::optional<A> a;
  try {
    a.emplace(co_await other->wait());
  } catch (...) {
    if (!error) error = std::current_exception();
  }
  if (error) std::rethrow_exception(error);
  co_return std::pair<A, B>(std::move(*a), std::move(*b));
}

}  // namespace colloquy
