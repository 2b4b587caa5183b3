// For tests: runs an event loop until a coroutine has ended, and returns or throws what it does.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <future>
#include <utility>

#include "base/task.h"

namespace colloquy::net::testing {

template <class T>
T run_task(boost::asio::io_context& loop, Task<T> task) {
  loop.restart();
  auto future = boost::asio::co_spawn(loop, std::move(task), boost::asio::use_future);
  while (future.wait_for(std::chrono::seconds(0)) != std::future_status::ready) loop.run_one();
  return future.get();
}

}  // namespace colloquy::net::testing
