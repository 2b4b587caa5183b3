#include "http/session.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>
#include <chrono>

#include "http/query.h"
#include "http/session_impl.h"

namespace colloquy::http {

namespace detail {

namespace {

constexpr std::size_t kReadBytes = 4 * limits::kKiB;
// What a connection may keep between requests.
constexpr std::size_t kKeepBytes = 16 * limits::kKiB;

// A streamed body has the request's deadline for each of these, so that a large one is not a slow
// client.
constexpr std::size_t kBodyStepBytes = 256 * limits::kKiB;

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace

// The body of the request that is being handled, a piece at a time: no more of it is read from the
// socket, nor held, than the handler has asked for.
template <class Stream>
class Session<Stream>::StreamReader final : public BodyReader {
 public:
  explicit StreamReader(Session& session) : session_(session) {
    early_.swap(session.request_.body);
    if (!early_.empty()) session.continued_ = true;
  }

  std::optional<std::uint64_t> length() const override {
    return session_.parser_->declared_bytes();
  }

  Task<std::string_view> read() override {
    if (failed_) throw BodyFailure(400, kCutOff);
    piece_.clear();
    if (!early_.empty()) {
      piece_.swap(early_);
      co_return piece_;
    }
    while (session_.request_.body.empty() && !session_.parser_->is_done()) {
      if (session_.buffer_.size() != 0 && parse()) continue;
      co_await receive();
    }
    piece_.swap(session_.request_.body);
    co_return piece_;
  }

 private:
  using Clock = std::chrono::steady_clock;

  // True when bytes were used up.
  bool parse() {
    auto& buffer = session_.buffer_;
    const auto data = buffer.cdata();
    std::string_view bytes(static_cast<const char*>(data.data()), data.size());
    const auto progress = session_.parser_->feed(bytes);
    buffer.consume(data.size() - bytes.size());
    if (progress == RequestParser::Progress::kRefused) fail(session_.parser_->refusal());
    return bytes.size() != data.size();
  }

  Task<> receive() {
    if (session_.parser_->awaits_continue() && !session_.continued_) {
      const bool said = co_await session_.say_continue();
      if (!said) fail({400, kCutOff});
    }
    // The time that the handler takes between two pieces is not the client's.
    const auto begin = Clock::now();
    session_.expire_after(std::max(left_, std::chrono::milliseconds(1)));
    const auto room = session_.buffer_.prepare(kReadBodyBytes);
    auto [error, received] = co_await session_.stream_.async_read_some(room, kAwait);
    if (session_.timed_out()) fail({408, "The request took too long to arrive."});
    session_.never_expire();
    if (error) fail({400, kCutOff});
    session_.buffer_.commit(received);
    left_ -= std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin);
    received_ += received;
    if (received_ < kBodyStepBytes) co_return;
    received_ = 0;
    left_ = session_.limits().request;
  }

  [[noreturn]] void fail(const Refusal& refusal) {
    failed_ = true;
    throw BodyFailure(refusal.status, refusal.reason);
  }

  static constexpr std::string_view kCutOff = "The request is cut off.";

  Session& session_;
  std::string early_;  // what came with the head
  std::string piece_;
  std::chrono::milliseconds left_ = session_.limits().request;  // for the next kBodyStepBytes
  std::size_t received_ = 0;                                    // of them
  bool failed_ = false;
};

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
    // A streamed response may go on reading it.
    std::optional<StreamReader> body;
    Response response;
    if (refusal_.status != 0) {
      response = early_reply(refusal_);
    } else {
      if (parser_->streams()) request_.body_stream = &body.emplace(*this);
      response = co_await handle();
    }
    // What was not read of a body is not there to be understood as the next request.
    if (parser_->streams() && !parser_->is_done()) response.close = true;
    const bool go_on = co_await respond(response);
    if (!go_on) co_return;
  }
}

template <class Stream>
Task<Response> Session<Stream>::handle() {
  Response response;
  bool failed = false;
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
  never_expire();
  co_return response;
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
  request_.body_stream = nullptr;
  request_.request_id.clear();
  request_.route = {};
  request_.query.clear();
  request_.path_parameters.clear();
  request_.user = UserId();
  request_.peer = options_.peer;
  request_.tls = kTls;
  request_.keep_alive = false;
  parser_.emplace(request_, limits(), &options_.shared->streamed_body);
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
      if (parser_->head_complete() && parser_->streams()) break;
      if (parser_->head_complete() && parser_->awaits_continue() && !continued_) {
        const bool said = co_await say_continue();
        if (!said) co_return false;
        expire_after(limits().request);
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

// False when the client is gone.
template <class Stream>
Task<bool> Session<Stream>::say_continue() {
  continued_ = true;
  // A client that did not wait for it needs none (RFC 9110, 10.1.1).
  if (buffer_.size() != 0 || !request_.body.empty()) co_return true;
  Gather pieces(kContinue);
  if (write_now(pieces)) co_return true;
  const bool written = co_await write_rest(pieces);
  co_return written;
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
