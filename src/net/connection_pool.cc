#include "net/connection_pool.h"

#include <boost/asio/execution/context.hpp>
#include <boost/asio/query.hpp>

namespace colloquy::net {
namespace {

constexpr std::size_t kDroppedAtOnce = 8;

const void* event_loop_of(const boost::asio::any_io_executor& executor) {
  return &boost::asio::query(executor, boost::asio::execution::context);
}

}  // namespace

std::shared_ptr<Connection> ConnectionPool::take(const std::string& endpoint,
                                                 const boost::asio::any_io_executor& executor) {
  const auto oldest = std::chrono::steady_clock::now() - kIdleMax;
  // Sockets are closed by their own event loop only: this one's, outside the lock.
  std::vector<Idle> dropped;
  std::scoped_lock lock(mutex_);
  const auto found = idle_.find(Key(event_loop_of(executor), endpoint));
  if (found == idle_.end()) return nullptr;
  std::vector<Idle>& idle = found->second;
  std::shared_ptr<Connection> taken;
  for (std::size_t i = idle.size(); i-- > 0 && !taken;) {
    // Two strands of one event loop do not share a connection.
    if (idle[i].connection->executor() != executor) continue;
    if (idle[i].since >= oldest && !idle[i].connection->spent()) {
      taken = std::move(idle[i].connection);
    } else {
      dropped.push_back(std::move(idle[i]));
    }
    idle.erase(idle.begin() + static_cast<std::ptrdiff_t>(i));
  }
  if (idle.empty()) idle_.erase(found);
  return taken;
}

void ConnectionPool::give(const std::string& endpoint, std::shared_ptr<Connection> connection) {
  if (connections_per_endpoint_ == 0) return;
  const auto now = std::chrono::steady_clock::now();
  std::vector<Idle> dropped;
  std::scoped_lock lock(mutex_);
  std::vector<Idle>& idle = idle_[Key(event_loop_of(connection->executor()), endpoint)];
  // Those that take() would not give out any more, of a busier hour, go a few at a time.
  auto kept = idle.begin();
  while (kept != idle.end() && dropped.size() < kDroppedAtOnce && kept->since < now - kIdleMax) {
    dropped.push_back(std::move(*kept++));
  }
  if (dropped.empty() && idle.size() >= connections_per_endpoint_) {
    dropped.push_back(std::move(*kept++));
  }
  idle.erase(idle.begin(), kept);
  idle.push_back(Idle{std::move(connection), now});
}

}  // namespace colloquy::net
