// The listener: accepts connections on every event loop, reads requests, writes
// responses. Knows nothing of conversations.
//
// HTTP/1.1 (RFC 9110, 9112): keep-alive, pipelining (answered in order), chunked
// bodies both ways, HEAD, Expect: 100-continue. TLS 1.2 and 1.3 when a certificate
// is set; it is read again when its file changes, and a broken new one is logged
// and the old one kept.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/limits.h"
#include "http/message.h"
#include "http/router.h"

namespace colloquy::http {

struct ServerLimits {
  std::size_t header_bytes = 16 * limits::kKiB;  // past it: 431
  std::size_t body_bytes = 8 * limits::kMiB;     // past it: 413
  std::size_t connections = 10000;               // past it: 503 and closed
  std::chrono::milliseconds idle{75'000};        // between requests
  // From a request's first byte to its last, or of a streamed body for each 256 KiB: else 408.
  std::chrono::milliseconds request{30'000};
  std::chrono::milliseconds write{30'000};  // for the client to take one piece of a response
};

// Looks at the head of a request: the largest body that its handler reads while it arrives
// (Request::body_stream), or nullopt where the handler is given the body whole.
using StreamedBody = std::function<std::optional<std::uint64_t>(const Request&)>;

struct ServerOptions {
  std::string address = "127.0.0.1";
  unsigned short port = 0;           // 0: any free one
  std::string tls_certificate_file;  // PEM chain; both or neither
  std::string tls_key_file;
  ServerLimits limits;
  StreamedBody streamed_body;  // empty: every body is whole
};

// What the connection itself answers when a request cannot be read (400, 408, 413, 431, 503).
using EarlyReply = std::function<Response(int status, std::string_view reason)>;

class Server {
 public:
  // `loops` outlive the server; one listener (SO_REUSEPORT) is opened on each, and a connection
  // stays on the loop that accepted it. `handle` answers every request and never throws.
  // Throws Error(kInvalid) when the address cannot be bound or the certificate cannot be used.
  Server(std::vector<boost::asio::io_context*> loops, ServerOptions options, Handler handle,
         EarlyReply early_reply);
  ~Server();

  void start();
  unsigned short port() const;      // the bound one
  std::size_t connections() const;  // after stop_accepting(): 0 when none is left or still to come

  // Stops accepting, after those who wait for it; idle connections end at once, others after their
  // current response.
  void stop_accepting();
  // Ends every connection now.
  void close_all();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace colloquy::http
