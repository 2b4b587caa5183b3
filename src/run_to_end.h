// For commands that do one thing and end: runs an event loop until a task of it has ended. The loop
// may have other things to do, such as to renew credentials, which would keep it running for ever.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <future>
#include <utility>

#include "base/task.h"

namespace colloquy {

template <class T>
bool is_ready(const std::future<T>& result) {
  return result.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
}

// What the task returns or throws. Nobody else may run the loop meanwhile.
template <class T>
T run_to_end(boost::asio::io_context& loop, Task<T> task) {
  auto result = boost::asio::co_spawn(loop, std::move(task), boost::asio::use_future);
  while (!is_ready(result)) loop.run_one();
  return result.get();
}

}  // namespace colloquy
