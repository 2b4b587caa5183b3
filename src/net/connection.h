// One TCP or TLS connection to an endpoint. Belongs to one event loop.
//
// Every wait ends by its deadline (NetError kTimeout) or, when the CancelState is asked to, with
// kCancelled; after any failure the connection is of no more use. One wait at a time.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ssl/context.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/task.h"
#include "net/cancel_state.h"

namespace colloquy::net {

class Connection {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  explicit Connection(boost::asio::any_io_executor executor);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  boost::asio::any_io_executor executor() const;

  // Resolves the name and tries its addresses in turn, sharing the time between them.
  // Throws kResolve, kConnect, kTimeout, kCancelled.
  Task<> connect(const std::string& host, std::uint16_t port, TimePoint deadline,
                 const std::shared_ptr<CancelState>& cancel);
  // Speaks TLS from now on; the peer's certificate must be good for `host`. Throws kTls and the
  // above.
  Task<> handshake(boost::asio::ssl::context& context, const std::string& host, TimePoint deadline,
                   const std::shared_ptr<CancelState>& cancel);
  // Writes all of it; each piece of at most 64 KiB may take `idle`. Throws kClosed, …
  Task<> write(std::string_view bytes, std::chrono::milliseconds idle,
               const std::shared_ptr<CancelState>& cancel);
  // Returns how many bytes came, 0 at the orderly end of the stream. Throws kClosed, …
  Task<std::size_t> read_some(char* data, std::size_t size, TimePoint deadline,
                              const std::shared_ptr<CancelState>& cancel);

  // Ends the present wait, if there is one. Does not wait for the peer.
  void close();
  // Of an idle connection: whether the peer closed it or sent what nobody asked for.
  bool spent() const;

 private:
  struct State;
  const std::shared_ptr<State> state_;
};

}  // namespace colloquy::net
