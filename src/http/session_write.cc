#include <algorithm>
#include <boost/asio/error.hpp>

#include "base/error.h"
#include "http/response_head.h"
#include "http/session_impl.h"

namespace colloquy::http::detail {

namespace {

// A body up to this is copied behind the header where the stream would make records of the two.
constexpr std::size_t kTlsRecordBytes = 16 * limits::kKiB;
// A large piece has the write deadline for each of these, so that a slow network is not a slow
// client.
constexpr std::size_t kWriteStepBytes = 256 * limits::kKiB;
// After the last response the client gets so long to read it before the socket is closed, and so
// much of what it still sends is thrown away; closing at once would reset the connection and the
// response with it (RFC 9112, 9.6).
constexpr std::chrono::milliseconds kLinger{2000};
constexpr std::size_t kLingerBytes = 32 * limits::kMiB;

constexpr std::string_view kLastChunk = "0\r\n\r\n";

}  // namespace

// The body of a response of unknown length. A piece goes out with its chunk's size, and the first
// one with the header, in one write.
template <class Stream>
class Session<Stream>::StreamWriter final : public BodyWriter {
 public:
  StreamWriter(Session& session, bool chunked, std::optional<std::uint64_t> length)
      : session_(session), chunked_(chunked), left_(length) {}

  Task<> write(std::string_view piece) override {
    if (ended_) throw ConnectionClosed();
    if (left_ && piece.size() > *left_) throw internal_error("a stream is longer than it said");
    if (left_) *left_ -= piece.size();
    std::string& head = session_.head_;
    if (!piece.empty() && chunked_) append_chunk_size(head, piece.size());
    std::string_view end = chunked_ && !piece.empty() ? "\r\n" : "";
    if (kTls && piece.size() <= kTlsRecordBytes) {
      head.append(piece).append(end);
      piece = end = {};
    }
    Gather pieces(head, piece, end);
    bool written = session_.write_now(pieces);
    if (!written) written = co_await session_.write_rest(pieces);
    head.clear();
    started_ = true;
    if (!written) {
      ended_ = true;
      throw ConnectionClosed();
    }
  }

  void abort() override {
    ended_ = true;
    session_.abort();
  }

  // Whether a byte of the response, its header included, was given to the socket.
  bool started() const { return started_; }
  bool ended() const { return ended_; }
  // Whether all that was announced was written.
  bool whole() const { return left_.value_or(0) == 0; }

 private:
  static void append_chunk_size(std::string& out, std::size_t bytes) {
    static constexpr std::string_view kDigits = "0123456789abcdef";
    int shift = 60;
    while (shift > 0 && (bytes >> shift) == 0) shift -= 4;
    for (; shift >= 0; shift -= 4) out.push_back(kDigits[(bytes >> shift) & 0xFU]);
    out.append("\r\n");
  }

  Session& session_;
  const bool chunked_;
  std::optional<std::uint64_t> left_;  // of the announced length
  bool started_ = false;
  bool ended_ = false;
};

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
    const bool close = response.close;
    response = early_reply({500, "The server failed."});
    response.close = response.close || close;
  }
  const bool http_1_1 = !parser_ || parser_->is_http_1_1();
  const bool bodiless = response.status == 204 || response.status == 304;
  const bool streamed = static_cast<bool>(response.stream) && !bodiless;
  const bool silent = bodiless || request_.method == Method::kHead;

  HeadOptions head;
  head.content_bytes = response.body.size();
  if (bodiless) {
    head.framing = Framing::kNone;
  } else if (response.stream_bytes && (streamed || silent)) {
    head.content_bytes = *response.stream_bytes;
  } else if (streamed) {
    head.framing = http_1_1 ? Framing::kChunked : Framing::kUntilClose;
  }
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
  const bool chunked = !response.stream_bytes && (!parser_ || parser_->is_http_1_1());
  StreamWriter writer(*this, chunked, response.stream_bytes);
  bool failed = false;
  Refusal told{500, "The server failed."};
  try {
    co_await response.stream(writer);
    if (!writer.whole() && !writer.ended())
      throw internal_error("a stream is shorter than it said");
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

// What session.cc calls of these.
template Task<bool> Session<PlainStream>::respond(Response&);
template Task<bool> Session<TlsStream>::respond(Response&);
template Task<> Session<PlainStream>::refuse(Refusal);
template Task<> Session<TlsStream>::refuse(Refusal);
template Response Session<PlainStream>::early_reply(Refusal) const;
template Response Session<TlsStream>::early_reply(Refusal) const;
template bool Session<PlainStream>::write_now(Gather&);
template bool Session<TlsStream>::write_now(Gather&);
template Task<bool> Session<PlainStream>::write_rest(Gather&);
template Task<bool> Session<TlsStream>::write_rest(Gather&);

}  // namespace colloquy::http::detail
