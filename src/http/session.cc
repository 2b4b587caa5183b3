#include "http/session.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>

#include "http/query.h"
#include "http/session_impl.h"

namespace colloquy::http {

namespace detail {

namespace {

constexpr std::size_t kReadBytes = 4 * limits::kKiB;
// What a connection may keep between requests.
constexpr std::size_t kKeepBytes = 16 * limits::kKiB;

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

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
