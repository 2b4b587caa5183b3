// The coroutine and the state of one connection, over a plain or a TLS stream. For session.cc,
// which has the connection's life and reads requests, and session_write.cc, which writes responses.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/limits.h"
#include "http/gather.h"
#include "http/request_parser.h"
#include "http/session.h"
#include "telemetry/log.h"

namespace colloquy::http::detail {

namespace asio = boost::asio;

using PlainStream = Socket;
using TlsStream = asio::ssl::stream<Socket>;
using ErrorCode = boost::system::error_code;

// No coroutine frame of its own for an operation, and no exception for its error.
inline constexpr auto kAwait = asio::as_tuple(asio::deferred);

inline constexpr std::size_t kReadBodyBytes = 64 * limits::kKiB;

template <class Stream>
class Session final : public Connection {
  static constexpr bool kTls = std::is_same_v<Stream, TlsStream>;

 public:
  template <class... Context>
  Session(SessionOptions options, Socket socket, Context&... context)
      : options_(std::move(options)),
        stream_(std::move(socket), context...),
        buffer_(options_.shared->limits.header_bytes + 2 * kReadBodyBytes) {
    options_.shared->connections.fetch_add(1, std::memory_order_relaxed);
    options_.set->add(*this);
  }
  ~Session() override {
    options_.set->remove(*this);
    options_.shared->connections.fetch_sub(1, std::memory_order_relaxed);
  }

  static Task<> run(std::unique_ptr<Session> self) {
    try {
      co_await self->serve();
    } catch (const std::exception& error) {
      telemetry::log_error("http.connection_failed", {{"error", error.what()}});
    }
  }

  void cancel() override {
    ErrorCode ignored;
    socket().cancel(ignored);
  }
  void close() override {
    ErrorCode ignored;
    socket().close(ignored);
  }
  bool at_rest() const override { return at_rest_ && nothing_arrived(); }

 private:
  class StreamReader;
  class StreamWriter;

  Socket& socket() {
    if constexpr (kTls) {
      return stream_.next_layer();
    } else {
      return stream_;
    }
  }
  const Socket& socket() const { return const_cast<Session*>(this)->socket(); }
  bool nothing_arrived() const {
    ErrorCode ignored;
    return socket().available(ignored) == 0;
  }
  const ServerLimits& limits() const { return options_.shared->limits; }

  Task<> serve();
  Task<bool> handshake();
  Task<bool> read_request();
  Task<Response> handle();
  Task<bool> say_continue();
  Task<bool> respond(Response& response);
  Task<bool> respond_streamed(const Response& response, bool close);
  Task<> refuse(Refusal refusal);
  Task<> linger();
  Task<bool> write_rest(Gather& pieces);

  void start_request();
  Response early_reply(Refusal refusal) const;
  bool write_now(Gather& pieces);
  void abort();

  SessionOptions options_;
  Stream stream_;
  boost::beast::flat_buffer buffer_;  // read and not yet parsed
  Request request_;
  std::optional<RequestParser> parser_;
  Refusal refusal_;
  std::string head_;  // of the response that is being written
  bool at_rest_ = false;
  bool continued_ = false;
};

}  // namespace colloquy::http::detail
