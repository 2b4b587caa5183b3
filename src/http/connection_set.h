// The connections of one event loop, and their deadlines. One timer looks at all of them every so
// often, so that a request costs no timer of its own; a deadline is kept to about an eighth.
//
// Everything here is called on the event loop only.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <unordered_set>

#include "http/server.h"

namespace colloquy::http {

// What the set may do to a connection.
class Connection {
 public:
  using Time = std::chrono::steady_clock::time_point;

  Connection() = default;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  virtual ~Connection() = default;

  // Ends the wait for its socket, if there is one, with operation_aborted.
  virtual void cancel() = 0;
  // Closes its socket; its coroutine ends by itself.
  virtual void close() = 0;
  // Between two requests, with nothing to read.
  virtual bool at_rest() const = 0;

 protected:
  void expire_after(std::chrono::milliseconds duration) {
    timed_out_ = false;
    deadline_ = std::chrono::steady_clock::now() + duration;
  }
  void never_expire() {
    timed_out_ = false;
    deadline_ = Time::max();
  }
  bool timed_out() const { return timed_out_; }

 private:
  friend class ConnectionSet;
  Time deadline_ = Time::max();
  bool timed_out_ = false;
};

class ConnectionSet : public std::enable_shared_from_this<ConnectionSet> {
 public:
  ConnectionSet(boost::asio::io_context& loop, const ServerLimits& limits);

  void add(Connection& connection);
  void remove(Connection& connection);

  // From now on stopping() is true, and connections at rest are cancelled.
  void stop();
  bool stopping() const { return stopping_; }
  void close_all();

 private:
  void schedule();
  void cancel_expired();

  std::unordered_set<Connection*> connections_;
  boost::asio::steady_timer timer_;
  std::chrono::milliseconds period_;
  bool scheduled_ = false;
  bool stopping_ = false;
};

}  // namespace colloquy::http
