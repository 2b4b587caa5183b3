// One connection: reads a request, has it handled, writes the response, and again, until one side
// has had enough. Lives on the event loop of its socket; owned by its own coroutine.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <string>

#include "http/connection_set.h"
#include "http/server.h"

namespace colloquy::http {

using Socket =
    boost::asio::basic_stream_socket<boost::asio::ip::tcp, boost::asio::io_context::executor_type>;

// What all connections of a server share. Constant but for the counts.
struct SessionShared {
  ServerLimits limits;
  StreamedBody streamed_body;
  Handler handle;
  EarlyReply early_reply;
  std::atomic<std::size_t> connections{0};
  std::atomic<std::size_t> stopping_listeners{0};  // asked to, and have not yet
};

struct SessionOptions {
  std::shared_ptr<SessionShared> shared;
  std::shared_ptr<ConnectionSet> set;              // of the socket's event loop
  std::string peer;                                // address:port
  std::shared_ptr<boost::asio::ssl::context> tls;  // null: plain
  bool too_many = false;                           // answer 503 and end
};

// Takes the connection over; counts it in `shared` until it ends. On the socket's event loop.
void start_session(Socket socket, SessionOptions options);

}  // namespace colloquy::http
