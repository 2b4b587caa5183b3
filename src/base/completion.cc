#include "base/completion.h"

#include <boost/asio/execution/context.hpp>
#include <boost/asio/query.hpp>
#include <map>

namespace colloquy {

void WakeList::wake_all() {
  std::map<const void*, std::vector<std::unique_ptr<detail::Waiter>>> by_loop;
  for (auto& waiter : waiters_) {
    const void* loop = &boost::asio::query(waiter->executor(), boost::asio::execution::context);
    by_loop[loop].push_back(std::move(waiter));
  }
  waiters_.clear();
  for (auto& [loop, group] : by_loop) {
    auto executor = group.front()->executor();
    boost::asio::post(executor, [group = std::move(group)]() mutable {
      for (auto& waiter : group) waiter->resume();
    });
  }
}

}  // namespace colloquy
