#include "http/connection_set.h"

#include <algorithm>

namespace colloquy::http {

namespace {

constexpr std::chrono::milliseconds kLeastPeriod{5};
constexpr std::chrono::milliseconds kMostPeriod{500};

}  // namespace

ConnectionSet::ConnectionSet(boost::asio::io_context& loop, const ServerLimits& limits)
    : timer_(loop),
      period_(std::clamp(std::min({limits.idle, limits.request, limits.write}) / 8, kLeastPeriod,
                         kMostPeriod)) {}

void ConnectionSet::add(Connection& connection) {
  connections_.insert(&connection);
  if (!scheduled_) schedule();
}

void ConnectionSet::remove(Connection& connection) {
  connections_.erase(&connection);
  // An event loop that is to end need not wait for the timer.
  if (stopping_ && connections_.empty()) timer_.cancel();
}

void ConnectionSet::stop() {
  stopping_ = true;
  if (connections_.empty()) timer_.cancel();
  for (Connection* connection : connections_) {
    if (connection->at_rest()) connection->cancel();
  }
}

void ConnectionSet::close_all() {
  for (Connection* connection : connections_) connection->close();
}

void ConnectionSet::schedule() {
  scheduled_ = true;
  timer_.expires_after(period_);
  timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    self->scheduled_ = false;
    if (!error) self->cancel_expired();
    // An empty set has no timer, so that an event loop without connections can end.
    if (!self->connections_.empty()) self->schedule();
  });
}

void ConnectionSet::cancel_expired() {
  const auto now = std::chrono::steady_clock::now();
  for (Connection* connection : connections_) {
    if (now < connection->deadline_) continue;
    // The deadline stays in the past: where the wait is one of several steps of TLS, the next
    // step is cancelled the next time.
    connection->timed_out_ = true;
    connection->cancel();
  }
}

}  // namespace colloquy::http
