// Runs a coroutine to its end on an event loop of its own, and hands over what it
// returned or threw. For tests; may be called from any thread that is not an event loop.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/task.h"

namespace colloquy::store {

template <class T>
T run_task(Task<T> task) {
  boost::asio::io_context loop;
  std::exception_ptr error;
  if constexpr (std::is_void_v<T>) {
    boost::asio::co_spawn(loop, std::move(task), [&](std::exception_ptr e) { error = e; });
    loop.run();
    if (error) std::rethrow_exception(error);
  } else {
    std::optional<T> result;
    boost::asio::co_spawn(loop, std::move(task), [&](std::exception_ptr e, T value) {
      error = e;
      if (!e) result.emplace(std::move(value));
    });
    loop.run();
    if (error) std::rethrow_exception(error);
    return std::move(*result);
  }
}

}  // namespace colloquy::store
