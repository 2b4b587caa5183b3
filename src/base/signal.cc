#include "base/signal.h"

#include <algorithm>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace colloquy {

// Touched on the event loop of its coroutine only, but for its place in the list.
struct Signal::Sleeper {
  explicit Sleeper(const boost::asio::any_io_executor& executor) : timer(executor) {}
  boost::asio::steady_timer timer;
};

Signal::Signal() = default;
Signal::~Signal() = default;

std::uint64_t Signal::ticket() const {
  std::scoped_lock lock(mutex_);
  return count_;
}

Task<bool> Signal::wait(std::uint64_t ticket, std::chrono::milliseconds at_most) {
  auto sleeper = std::make_shared<Sleeper>(co_await boost::asio::this_coro::executor);
  sleeper->timer.expires_after(at_most);
  {
    std::scoped_lock lock(mutex_);
    if (count_ > ticket) co_return true;
    sleepers_.push_back(sleeper);
  }
  // Also when the coroutine is destroyed while it waits.
  struct Removal {
    Signal& signal;
    std::shared_ptr<Sleeper>& sleeper;
    ~Removal() {
      std::scoped_lock lock(signal.mutex_);
      std::erase(signal.sleepers_, sleeper);
    }
  } removal{*this, sleeper};
  // A notify from now on posts to this event loop, so it runs after the wait below has begun.
  boost::system::error_code ended;
  co_await sleeper->timer.async_wait(
      boost::asio::redirect_error(boost::asio::use_awaitable, ended));
  co_return this->ticket() > ticket;
}

void Signal::notify_all() {
  std::vector<std::shared_ptr<Sleeper>> sleepers;
  {
    std::scoped_lock lock(mutex_);
    ++count_;
    sleepers.swap(sleepers_);
  }
  for (auto& sleeper : sleepers) {
    auto executor = sleeper->timer.get_executor();
    boost::asio::post(executor, [sleeper = std::move(sleeper)] { sleeper->timer.cancel(); });
  }
}

}  // namespace colloquy
