#include "http/session.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>

#include "base/error.h"
#include "http/query.h"
#include "http/response_head.h"
#include "http/session_impl.h"

namespace colloquy::http {

namespace detail {

namespace {

constexpr std::size_t kReadBytes = 4 * limits::kKiB;
// What a connection may keep between requests.
constexpr std::size_t kKeepBytes = 16 * limits::kKiB;
// A large piece has the write deadline for each of these, so that a slow network is not a slow
// client.
constexpr std::size_t kWriteStepBytes = 256 * limits::kKiB;
// After the last response the client gets so long to read it before the socket is closed, and so
// much of what it still sends is thrown away; closing at once would reset the connection and the
// response with it (RFC 9112, 9.6).
constexpr std::chrono::milliseconds kLinger{2000};
constexpr std::size_t kLingerBytes = 32 * limits::kMiB;

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr std::string_view kLastChunk = "0\r\n\r\n";

}  // namespace

template <class Stream>
Task<> Session<Stream>::serve() {
  if constexpr (kTls) {
    const bool secured = co_await handshake();
    if (!secured) co_return;
  }
  if (options_.too_many) {
    co_await refuse({503, "The server has too many connections."});
    co_return;
  }
  for (;;) {
    const bool complete = co_await read_request();
    if (!complete) {
      if (refusal_.status != 0) co_await refuse(refusal_);
      co_return;
    }
    Response response;
    bool failed = false;
    if (refusal_.status != 0) {
      response = early_reply(refusal_);
    } else {
      try {
        response = co_await options_.shared->handle(request_);
      } catch (const std::exception& error) {
        failed = true;
        telemetry::log_error("http.handler_failed", {{"error", error.what()}});
      } catch (...) {
        failed = true;
        telemetry::log_error("http.handler_failed");
      }
      if (failed) response = early_reply({500, "The server failed."});
    }
    const bool go_on = co_await respond(response);
    if (!go_on) co_return;
  }
}

template <class Stream>
Task<bool> Session<Stream>::handshake() {
  if constexpr (kTls) {
    expire_after(limits().request);
    auto [error] = co_await stream_.async_handshake(asio::ssl::stream_base::server, kAwait);
    if (error || timed_out()) {
      telemetry::log_debug("http.tls_handshake_failed",
                           {{"peer", options_.peer}, {"error", error.message()}});
      co_return false;
    }
  }
  co_return true;
}

template <class Stream>
void Session<Stream>::start_request() {
  // The capacity of what most requests need is kept.
  request_.method = Method::kGet;
  request_.method_text.clear();
  request_.target.clear();
  request_.path.clear();
  request_.headers.clear();
  if (request_.body.capacity() > kKeepBytes) request_.body = std::string();
  request_.body.clear();
  request_.request_id.clear();
  request_.route = {};
  request_.query.clear();
  request_.path_parameters.clear();
  request_.user = UserId();
  request_.peer = options_.peer;
  request_.tls = kTls;
  request_.keep_alive = false;
  parser_.emplace(request_, limits());
  refusal_ = {};
  continued_ = false;
}

// True when a request is there, with a refusal where it is complete but not understood. False
// when the connection is to end, after the refusal, if there is one.
template <class Stream>
Task<bool> Session<Stream>::read_request() {
  start_request();
  bool begun = false;
  for (;;) {
    if (buffer_.size() != 0) {
      if (!begun) expire_after(limits().request);
      begun = true;
      const auto data = buffer_.cdata();
      std::string_view bytes(static_cast<const char*>(data.data()), data.size());
      const auto progress = parser_->feed(bytes);
      buffer_.consume(data.size() - bytes.size());
      if (progress == RequestParser::Progress::kRefused) {
        refusal_ = parser_->refusal();
        co_return false;
      }
      if (progress == RequestParser::Progress::kComplete) break;
      if (parser_->head_complete() && parser_->awaits_continue() && !continued_) {
        continued_ = true;
        Gather pieces(kContinue);
        bool written = buffer_.size() != 0 || !request_.body.empty() || write_now(pieces);
        if (!written) {
          written = co_await write_rest(pieces);
          expire_after(limits().request);
        }
        if (!written) co_return false;
      }
    }
    if (!begun) {
      // What the client has sent before it could know is still answered.
      if (options_.set->stopping() && nothing_arrived()) co_return false;
      if (buffer_.capacity() > kKeepBytes) buffer_ = boost::beast::flat_buffer(buffer_.max_size());
      expire_after(limits().idle);
    }
    const bool body = begun && parser_->head_complete();
    const auto room = buffer_.prepare(body ? kReadBodyBytes : kReadBytes);
    at_rest_ = !begun;
    auto [error, received] = co_await stream_.async_read_some(room, kAwait);
    at_rest_ = false;
    if (timed_out() && begun) refusal_ = {408, "The request took too long to arrive."};
    if (timed_out()) co_return false;
    if (error) {
      if (begun && error == asio::error::eof) refusal_ = {400, "The request is cut off."};
      co_return false;
    }
    buffer_.commit(received);
  }
  never_expire();
  const std::size_t query = request_.target.find('?');
  if (query != std::string::npos &&
      !parse_query(std::string_view(request_.target).substr(query + 1), request_.query)) {
    refusal_ = {400, "The request's query is not percent-encoded UTF-8."};
  }
  co_return true;
}

template <class Stream>
Response Session<Stream>::early_reply(Refusal refusal) const {
  try {
    return options_.shared->early_reply(refusal.status, refusal.reason);
  } catch (const std::exception& error) {
    telemetry::log_error("http.early_reply_failed", {{"error", error.what()}});
    Response response;
    response.status = refusal.status;
    return response;
  }
}

template <class Stream>
Task<> Session<Stream>::refuse(Refusal refusal) {
  // The rest of what was being read is not understood any more.
  request_.keep_alive = true;
  Response response = early_reply(refusal);
  response.close = true;
  response.stream = nullptr;
  co_await respond(response);
}

// True when the connection goes on to the next request.
template <class Stream>
Task<bool> Session<Stream>::respond(Response& response) {
  if (response.status < 200 || response.status > 599) {
    telemetry::log_error("http.bad_status", {{"status", response.status}});
    response = early_reply({500, "The server failed."});
  }
  const bool http_1_1 = !parser_ || parser_->is_http_1_1();
  const bool bodiless = response.status == 204 || response.status == 304;
  const bool streamed = static_cast<bool>(response.stream) && !bodiless;
  const bool silent = bodiless || request_.method == Method::kHead;

  HeadOptions head;
  if (bodiless) {
    head.framing = Framing::kNone;
  } else if (streamed) {
    head.framing = http_1_1 ? Framing::kChunked : Framing::kUntilClose;
  }
  head.content_bytes = response.body.size();
  const bool ends_here = response.close || options_.set->stopping() ||
                         (head.framing == Framing::kUntilClose && !silent);
  head.close = ends_here || !request_.keep_alive;
  head.say_keep_alive = !http_1_1;
  head_.clear();
  append_head(head_, response, head);

  if (streamed && !silent) {
    const bool whole = co_await respond_streamed(response, head.close);
    if (!whole) co_return false;
  } else {
    std::string_view body = silent ? std::string_view() : std::string_view(response.body);
    if (kTls && body.size() <= kTlsRecordBytes) {
      head_.append(body);
      body = {};
    }
    Gather pieces(head_, body);
    bool written = write_now(pieces);
    if (!written) written = co_await write_rest(pieces);
    if (!written) co_return false;
  }
  if (!head.close) co_return true;
  // A client that asked for the end sends nothing more, so there is nothing to wait for.
  if (ends_here || kTls) co_await linger();
  co_return false;
}

template <class Stream>
Task<bool> Session<Stream>::respond_streamed(const Response& response, bool close) {
  const bool chunked = !parser_ || parser_->is_http_1_1();
  StreamWriter writer(*this, chunked);
  bool failed = false;
  Refusal told{500, "The server failed."};
  try {
    co_await response.stream(writer);
  } catch (const ConnectionClosed&) {
    failed = true;
  } catch (const Error& error) {
    failed = true;
    if (error.code() == colloquy::ErrorCode::kInternal) {
      telemetry::log_error("http.stream_failed",
                           {{"error", error.detail()}, {"route", request_.route}});
    } else {
      // Such as a list whose conversation somebody deletes while it is read.
      telemetry::log_info("http.stream_cut", {{"code", error_code_name(error.code())},
                                              {"error", error.what()},
                                              {"route", request_.route}});
      told = {503, "What was asked for has changed. Ask again."};
    }
  } catch (const std::exception& error) {
    failed = true;
    telemetry::log_error("http.stream_failed",
                         {{"error", error.what()}, {"route", request_.route}});
  } catch (...) {
    failed = true;
  }
  if (writer.ended()) co_return false;
  if (failed && !writer.started()) {
    // Nothing is sent yet: the client can still be told.
    Response instead = early_reply(told);
    instead.stream = nullptr;
    instead.close = close;
    const bool go_on = co_await respond(instead);
    co_return go_on;
  }
  if (failed) {
    // With chunks the end without a last chunk says it, and what was sent still arrives; without
    // them only a reset does.
    if (!chunked) abort();
    co_return false;
  }
  if (chunked) head_.append(kLastChunk);
  Gather pieces(head_);
  bool written = write_now(pieces);
  if (!written) written = co_await write_rest(pieces);
  co_return written;
}

// Gives the socket what it takes without waiting. True when that was all.
template <class Stream>
bool Session<Stream>::write_now(Gather& pieces) {
  if (pieces.empty()) return true;
  if constexpr (kTls) {
    return false;
  } else {
    ErrorCode error;
    pieces.consume(stream_.write_some(pieces, error));
    return pieces.empty();  // an error shows again in write_rest
  }
}

// Writes the rest, each step within the write deadline. False when the client is gone or too
// slow; the connection is then aborted.
template <class Stream>
Task<bool> Session<Stream>::write_rest(Gather& pieces) {
  std::size_t taken = kWriteStepBytes;
  while (!pieces.empty()) {
    if (taken >= kWriteStepBytes) {
      expire_after(limits().write);
      taken = 0;
    }
    auto [error, written] = co_await stream_.async_write_some(pieces, kAwait);
    if (error || timed_out()) {
      never_expire();
      abort();
      co_return false;
    }
    pieces.consume(written);
    taken += written;
  }
  never_expire();
  co_return true;
}

template <class Stream>
Task<> Session<Stream>::linger() {
  expire_after(std::min(kLinger, limits().request));
  if constexpr (kTls) {
    co_await stream_.async_shutdown(kAwait);
    if (timed_out()) co_return;
  }
  ErrorCode error;
  socket().shutdown(Socket::shutdown_send, error);
  buffer_.consume(buffer_.size());
  std::size_t dropped = 0;
  while (!error && !timed_out() && dropped < kLingerBytes) {
    auto [failure, received] =
        co_await socket().async_read_some(buffer_.prepare(kReadBodyBytes), kAwait);
    error = failure;
    dropped += received;
  }
}

// Resets the connection, so that what is left of it is not sent.
template <class Stream>
void Session<Stream>::abort() {
  ErrorCode ignored;
  socket().set_option(asio::socket_base::linger(true, 0), ignored);
  socket().close(ignored);
}

namespace {

template <class Stream, class... Context>
void spawn(Socket socket, SessionOptions options, Context&... context) {
  const auto loop = socket.get_executor();
  auto session =
      std::make_unique<Session<Stream>>(std::move(options), std::move(socket), context...);
  asio::co_spawn(loop, Session<Stream>::run(std::move(session)), asio::detached);
}

}  // namespace

}  // namespace detail

void start_session(Socket socket, SessionOptions options) {
  boost::system::error_code ignored;
  socket.non_blocking(true, ignored);
  socket.set_option(boost::asio::ip::tcp::no_delay(true), ignored);
  if (options.tls) {
    auto tls = options.tls;
    detail::spawn<detail::TlsStream>(std::move(socket), std::move(options), *tls);
  } else {
    detail::spawn<detail::PlainStream>(std::move(socket), std::move(options));
  }
}

}  // namespace colloquy::http
