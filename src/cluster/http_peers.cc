#include "cluster/http_peers.h"

#include <chrono>
#include <optional>
#include <utility>

#include "cluster/peer_events.h"
#include "net/sse_reader.h"
#include "telemetry/log.h"

namespace colloquy::cluster {
namespace {

using chat::PeerState;
using std::chrono::milliseconds;

constexpr auto kConnect = milliseconds(2'000);
constexpr auto kFirstByte = milliseconds(5'000);
// The other side gives a sign of life every fifteen seconds.
constexpr auto kSilence = milliseconds(40'000);
// Saving what was said is tried for some seconds.
constexpr auto kCancelWait = milliseconds(30'000);
constexpr std::size_t kAnswerBytes = std::size_t{64} * 1024;

[[noreturn]] void fail(const std::string& detail) {
  throw unavailable("The server that makes this answer cannot be reached.", detail);
}

class HttpPeerAnswer final : public chat::PeerAnswer {
 public:
  explicit HttpPeerAnswer(std::unique_ptr<net::ResponseStream> stream)
      : stream_(std::move(stream)) {}

  // Reads what was said so far.
  Task<> begin() {
    auto start = co_await read_event();
    auto bytes = start.type == "start" ? parse_start(start.data) : std::nullopt;
    if (!bytes) fail("no start");
    while (so_far_.size() < *bytes) {
      auto piece = co_await next();
      if (!piece) fail("it ended before what was said so far");
      so_far_ += *piece;
    }
  }

  const std::string& so_far() const override { return so_far_; }

  Task<std::optional<std::string>> next() override {
    auto event = reader_.next();
    if (!event) {
      auto piece = co_await read_piece();
      reader_.push(piece);
      event = reader_.next();
    }
    if (!event) co_return std::string();  // a comment, or a part of an event
    if (event->type == "token") {
      auto text = parse_token(event->data);
      if (!text) fail("a garbled token");
      co_return text;
    }
    auto end = event->type == "end" ? parse_end(event->data) : std::nullopt;
    if (!end) fail("a garbled event");
    end_ = std::move(*end);
    co_return std::nullopt;
  }

  const chat::PeerEnd& end() const override { return end_; }
  void close() override { stream_->cancel(); }

 private:
  Task<std::string> read_piece() {
    std::optional<std::string> piece;
    std::string failure = "the stream ended";
    try {
      piece = co_await stream_->read();
    } catch (const net::NetError& error) {
      failure = error.what();
    }
    if (!piece) fail(failure);
    co_return std::move(*piece);
  }

  Task<net::SseEvent> read_event() {
    auto event = reader_.next();
    while (!event) {
      auto piece = co_await read_piece();
      reader_.push(piece);
      event = reader_.next();
    }
    co_return std::move(*event);
  }

  std::unique_ptr<net::ResponseStream> stream_;
  net::SseReader reader_;
  std::string so_far_;
  chat::PeerEnd end_;
};

const char* state_name(PeerState state) {
  switch (state) {
    case PeerState::kRunning:
      return "running";
    case PeerState::kNotRunning:
      return "not_running";
    case PeerState::kGone:
      return "gone";
    case PeerState::kUnreachable:
      return "unreachable";
  }
  return "";
}

}  // namespace

void HttpPeers::count(const char* call, PeerState state) {
  metrics_
      .counter("colloquy_peer_calls_total", "Calls of other servers, by what came of them.",
               {{"call", call}, {"outcome", state_name(state)}})
      .Increment();
}

Task<HttpPeers::Call> HttpPeers::call(const char* method, std::string owner,
                                      const chat::AnswerName& name, net::Deadlines deadlines) {
  Call result;
  auto peer = parse_owner(owner);
  if (!peer) co_return result;
  if (peer->instance == own_.instance) {
    result.state = PeerState::kNotRunning;
    co_return result;
  }
  if (!peer->url) co_return result;
  auto target = peer_target(name);
  net::HttpRequest request;
  request.method = method;
  request.url = url_text(*peer->url, target);
  // At this server's own address, it was the process before this one.
  if (own_.url && request.url == url_text(*own_.url, target)) {
    result.state = PeerState::kGone;
    co_return result;
  }
  PeerRequest asked{method, target, peer->instance, name.user};
  auto mark = key_.sign(asked, clock_.now_s());
  request.headers.push_back({kPeerHeader, mark.header});
  net::add_trace(request, name.trace);
  request.deadlines = deadlines;
  std::unique_ptr<net::ResponseStream> stream;
  try {
    stream = co_await client_.open(std::move(request));
  } catch (const net::NetError& error) {
    telemetry::log_info("peer.unreachable", {{"peer", peer->url->host_and_port()},
                                             {"message_id", name.message.to_string()},
                                             {"detail", error.what()},
                                             {"trace_id", name.trace.trace_id},
                                             {"span_id", name.trace.span_id}});
    co_return result;
  }
  auto status = stream->status();
  auto proof = stream->header(kPeerHeader);
  if (!proof || !key_.proves(*proof, mark.mac, status)) {
    telemetry::log_warning("peer.not_proven",
                           {{"peer", peer->url->host_and_port()}, {"status", status}});
    co_return result;
  }
  if (status == 404) result.state = PeerState::kNotRunning;
  if (status == 410) result.state = PeerState::kGone;
  if (status == 200) {
    result.state = PeerState::kRunning;
    result.stream = std::move(stream);
  }
  co_return result;
}

Task<chat::Peers::Opened> HttpPeers::follow(std::string owner, chat::AnswerName name) {
  Opened opened;
  net::Deadlines deadlines{kConnect, kFirstByte, kSilence};
  auto called = co_await call("GET", std::move(owner), name, deadlines);
  opened.state = called.state;
  if (called.state == PeerState::kRunning) {
    auto answer = std::make_shared<HttpPeerAnswer>(std::move(called.stream));
    try {
      co_await answer->begin();
      opened.answer = std::move(answer);
    } catch (const std::exception& error) {
      telemetry::log_warning("peer.garbled", {{"detail", error.what()}});
      opened.state = PeerState::kUnreachable;
    }
  }
  count("follow", opened.state);
  co_return opened;
}

Task<chat::Peers::Stopped> HttpPeers::cancel(std::string owner, chat::AnswerName name) {
  Stopped stopped;
  net::Deadlines deadlines{kConnect, kCancelWait, kCancelWait};
  auto called = co_await call("DELETE", std::move(owner), name, deadlines);
  stopped.state = called.state;
  if (called.state == PeerState::kRunning) {
    std::string body;
    try {
      while (body.size() < kAnswerBytes) {
        auto piece = co_await called.stream->read();
        if (!piece) break;
        body += *piece;
      }
    } catch (const net::NetError&) {  // what was read says nothing then
    }
    auto end = parse_end(body);
    if (end) {
      stopped.end = std::move(*end);
    } else {
      stopped.state = PeerState::kUnreachable;
    }
  }
  count("cancel", stopped.state);
  co_return stopped;
}

}  // namespace colloquy::cluster
