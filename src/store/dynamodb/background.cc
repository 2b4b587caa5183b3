#include "store/dynamodb/background.h"

#include <boost/asio/co_spawn.hpp>
#include <exception>
#include <utility>

namespace colloquy::store::dynamodb {

void Background::start(const std::shared_ptr<Background>& self,
                       const boost::asio::any_io_executor& executor, Task<> task) {
  ++self->running_;
  boost::asio::co_spawn(executor, std::move(task), [self](const std::exception_ptr&) {
    --self->running_;
    self->ended_.notify_all();
  });
}

Task<bool> Background::wait_until_ended(std::chrono::milliseconds at_most) {
  using std::chrono::steady_clock;
  auto give_up = steady_clock::now() + at_most;
  while (running_ > 0) {
    auto ticket = ended_.ticket();
    if (running_ == 0) break;
    auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(give_up - steady_clock::now());
    if (left.count() <= 0) co_return false;
    co_await ended_.wait(ticket, left);
  }
  co_return true;
}

}  // namespace colloquy::store::dynamodb
