// Idle connections, kept for each endpoint and event loop. Thread-safe.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "net/connection.h"

namespace colloquy::net {

class ConnectionPool {
 public:
  // Below the minute after which servers and middle boxes commonly drop an idle connection.
  static constexpr std::chrono::seconds kIdleMax{50};

  explicit ConnectionPool(std::size_t connections_per_endpoint)
      : connections_per_endpoint_(connections_per_endpoint) {}

  // A connection of this event loop that was idle for the shortest time; null when there is none.
  std::shared_ptr<Connection> take(const std::string& endpoint,
                                   const boost::asio::any_io_executor& executor);
  // On the connection's event loop. Closes some that have been idle for too long, and past the
  // bound the one idle longest.
  void give(const std::string& endpoint, std::shared_ptr<Connection> connection);

 private:
  struct Idle {
    std::shared_ptr<Connection> connection;
    std::chrono::steady_clock::time_point since;
  };
  using Key = std::pair<const void*, std::string>;  // the event loop, the endpoint

  const std::size_t connections_per_endpoint_;
  std::mutex mutex_;
  std::map<Key, std::vector<Idle>> idle_;  // guarded by mutex_; the newest last
};

}  // namespace colloquy::net
