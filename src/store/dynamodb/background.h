// What a store does beside its calls: coroutines that run until they are told to stop, and whose
// end can be waited for. Thread-safe.
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <memory>

#include "base/signal.h"
#include "base/task.h"

namespace colloquy::store::dynamodb {

class Background {
 public:
  // Nothing that the task throws is heard of any more.
  static void start(const std::shared_ptr<Background>& self,
                    const boost::asio::any_io_executor& executor, Task<> task);
  // False when some are still under way after that time.
  Task<bool> wait_until_ended(std::chrono::milliseconds at_most);

 private:
  std::atomic<int> running_{0};
  Signal ended_;
};

}  // namespace colloquy::store::dynamodb
