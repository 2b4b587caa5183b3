// The bytes of one connection: first through the parser, cut in two ways that must agree, then
// through a real session over a pair of sockets. There the body of a PUT is streamed, and how the
// bytes are cut must not make other requests of them.
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "base/text.h"
#include "check.h"
#include "http/connection_set.h"
#include "http/header_values.h"
#include "http/request_parser.h"
#include "http/session.h"

namespace {

namespace http = colloquy::http;
using colloquy::Task;
using Progress = http::RequestParser::Progress;

// What the session reads at once.
constexpr std::size_t kReadBytes = 4096;

http::ServerLimits small_limits() {
  http::ServerLimits limits;
  limits.header_bytes = 1024;
  limits.body_bytes = 2048;
  return limits;
}

void check_request(const http::Request& request) {
  COLLOQUY_CHECK(!request.path.empty());
  COLLOQUY_CHECK(request.body.size() <= small_limits().body_bytes);
  int lengths = 0;
  for (const http::Header& header : request.headers) {
    COLLOQUY_CHECK(http::is_token(header.name));
    COLLOQUY_CHECK(header.value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos);
    if (colloquy::equals_ignoring_case(header.name, "Content-Length")) ++lengths;
    if (colloquy::equals_ignoring_case(header.name, "Transfer-Encoding")) ++lengths;
  }
  COLLOQUY_CHECK(lengths <= 1);
}

struct Parsed {
  Progress progress = Progress::kNeedMore;
  http::Request request;
  std::size_t taken = 0;
};

Parsed parse(std::string_view bytes, std::size_t step) {
  static const http::ServerLimits limits = small_limits();
  Parsed parsed;
  http::RequestParser parser(parsed.request, limits);
  std::size_t end = 0;
  while (parsed.progress == Progress::kNeedMore && end < bytes.size()) {
    end = std::min(end + step, bytes.size());
    std::string_view piece = bytes.substr(parsed.taken, end - parsed.taken);
    parsed.progress = parser.feed(piece);
    parsed.taken = end - piece.size();
  }
  return parsed;
}

void check_parser(std::string_view bytes, std::size_t step) {
  const Parsed whole = parse(bytes, std::max<std::size_t>(bytes.size(), 1));
  const Parsed cut = parse(bytes, step);
  if (whole.progress != Progress::kComplete) return;  // where it is refused may differ
  check_request(whole.request);
  // Of a chunk's extension or a trailer only what still waits for its end is bounded.
  if (cut.progress == Progress::kRefused && !cut.request.headers.empty() &&
      bytes.size() - cut.taken > small_limits().header_bytes) {
    return;
  }
  COLLOQUY_CHECK(cut.progress == Progress::kComplete);
  COLLOQUY_CHECK(cut.taken == whole.taken);
  COLLOQUY_CHECK(cut.request.target == whole.request.target);
  COLLOQUY_CHECK(cut.request.body == whole.request.body);
  COLLOQUY_CHECK(cut.request.headers.size() == whole.request.headers.size());
}

Task<> stream_body(std::string body, http::BodyWriter& writer) {
  co_await writer.write(body);
  co_await writer.write("end");
}

Task<> read_streamed(http::Request& request) {
  std::size_t bytes = 0;
  for (;;) {
    const std::string_view piece = co_await request.body_stream->read();
    if (piece.empty()) co_return;
    bytes += piece.size();
    COLLOQUY_CHECK(bytes <= small_limits().body_bytes);
  }
}

// "/unread" leaves a streamed body where it is, "/some" all but its first piece.
Task<http::Response> answer(std::vector<std::string>* handled, http::Request& request) {
  check_request(request);
  http::Response response;
  if (request.body_stream != nullptr) {
    try {
      if (request.path == "/some") {
        co_await request.body_stream->read();
      } else if (request.path != "/unread") {
        co_await read_streamed(request);
        handled->push_back(request.method_text + " " + request.target);
      }
    } catch (const http::BodyFailure& failure) {
      response.status = failure.status();
    }
    co_return response;
  }
  handled->push_back(request.method_text + " " + request.target);
  response.set_header("X-Target", request.target);
  response.body = request.body;
  if (request.path == "/s") {
    response.stream = [body = request.body](http::BodyWriter& writer) {
      return stream_body(body, writer);
    };
  }
  co_return response;
}

http::Response early_reply(int status, std::string_view reason) {
  http::Response response;
  response.status = status;
  response.body = reason;
  return response;
}

// One event loop for all inputs, on which one connection at a time lives.
class Connections {
 public:
  Connections() {
    shared_->limits = small_limits();
    shared_->handle = [this](http::Request& request) { return answer(&handled_, request); };
    shared_->streamed_body = [](const http::Request& request) -> std::optional<std::uint64_t> {
      if (request.method == http::Method::kPut) return small_limits().body_bytes;
      return std::nullopt;
    };
    shared_->early_reply = early_reply;
    set_ = std::make_shared<http::ConnectionSet>(loop_, shared_->limits);
  }

  struct Conversation {
    std::string answers;
    std::vector<std::string> handled;  // method and target of each whole request
  };

  Conversation converse(std::string_view bytes, std::size_t step) {
    handled_.clear();
    std::array<int, 2> ends{};
    COLLOQUY_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    http::Socket socket(loop_);
    socket.assign(boost::asio::ip::tcp::v4(), ends[0]);
    http::start_session(std::move(socket), {shared_, set_, "fuzz", nullptr, false});
    std::string answers;
    while (!bytes.empty()) {
      const std::string_view piece = bytes.substr(0, step);
      if (::send(ends[1], piece.data(), piece.size(), MSG_NOSIGNAL) <= 0) break;
      bytes.remove_prefix(piece.size());
      loop_.poll();
      receive(ends[1], answers);
    }
    ::shutdown(ends[1], SHUT_WR);
    while (shared_->connections != 0) {
      loop_.run_one();
      receive(ends[1], answers);
    }
    receive(ends[1], answers);
    ::close(ends[1]);
    return {std::move(answers), handled_};
  }

 private:
  static void receive(int descriptor, std::string& answers) {
    std::array<char, 4096> room;
    ssize_t received = 0;
    while ((received = ::recv(descriptor, room.data(), room.size(), MSG_DONTWAIT)) > 0) {
      answers.append(room.data(), static_cast<std::size_t>(received));
    }
  }

  std::vector<std::string> handled_;
  boost::asio::io_context loop_{1};
  // Else poll() stops the loop for good where it ends the last connection and the last timer.
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{
      loop_.get_executor()};
  std::shared_ptr<http::SessionShared> shared_ = std::make_shared<http::SessionShared>();
  std::shared_ptr<http::ConnectionSet> set_;
};

}  // namespace

// The first byte says in pieces of how many bytes the others arrive; 0: all at once.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Connections connections;
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t step = data[0] == 0 ? std::max<std::size_t>(bytes.size(), 1) : data[0];
  check_parser(bytes, step);
  // A connection of thousands of pieces would only be slow.
  const auto cut = connections.converse(bytes, std::max(step, bytes.size() / 32 + 1));
  COLLOQUY_CHECK(cut.answers.empty() || cut.answers.starts_with("HTTP/1.1 "));
  if (bytes.size() > kReadBytes) return 0;
  const auto whole = connections.converse(bytes, std::max<std::size_t>(bytes.size(), 1));
  // In pieces it may end sooner, where a body that nobody reads is not all there.
  COLLOQUY_CHECK(cut.handled.size() <= whole.handled.size());
  COLLOQUY_CHECK(std::equal(cut.handled.begin(), cut.handled.end(), whole.handled.begin()));
  return 0;
}
