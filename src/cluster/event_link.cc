#include "cluster/event_link.h"

#include <algorithm>
#include <boost/asio/error.hpp>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "cluster/owner.h"

namespace colloquy::cluster {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr const char* kUnreachable = "peer.unreachable";

// The stream is of no more use; the link tries again.
struct Broken : std::runtime_error {
  Broken(const char* event_in, const std::string& detail)
      : std::runtime_error(detail), event(event_in) {}
  const char* event;
};

// Nobody listens at the address. After any other failure somebody may, whom this server does not
// hear.
bool nobody_there(const net::NetError& error) {
  static const std::string refused =
      boost::asio::error::make_error_code(boost::asio::error::connection_refused).message();
  return error.failure() == net::NetFailure::kConnect &&
         std::string_view(error.what()).ends_with(refused);
}

// A process counts as followed for as long as this lives.
struct Followed {
  Followed(EventLinkShared& shared_in, std::string instance_in)
      : shared(shared_in), instance(std::move(instance_in)) {
    shared.followed.insert(instance);
  }
  ~Followed() { shared.followed.erase(instance); }
  Followed(const Followed&) = delete;
  Followed& operator=(const Followed&) = delete;
  EventLinkShared& shared;
  const std::string instance;
};

}  // namespace

EventLinkShared::EventLinkShared(std::string own, chat::EventHub& events, net::HttpClient& http,
                                 const PeerKey& secret, const Clock& time,
                                 telemetry::Metrics& meters, EventLinkOptions settings)
    : own_instance(std::move(own)),
      hub(events),
      client(http),
      key(secret),
      clock(time),
      metrics(meters),
      connected(meters.gauge("colloquy_event_peers", "Other servers whose events are to be told.",
                             {{"state", "connected"}})),
      unreachable(meters.gauge("colloquy_event_peers", "Other servers whose events are to be told.",
                               {{"state", "unreachable"}})),
      received(
          meters.counter("colloquy_peer_events_total", "Events that other servers have told.")),
      gaps(meters.counter("colloquy_peer_event_gaps_total",
                          "Times that events of another server may have been missed.")),
      options(settings),
      random(std::random_device{}()) {}

EventLink::EventLink(std::shared_ptr<EventLinkShared> shared, net::Url url, std::string address)
    : shared_(std::move(shared)), url_(std::move(url)), address_(std::move(address)) {}

EventLink::~EventLink() { set_state(State::kNew); }

void EventLink::stop() {
  stopped_ = true;
  if (cancel_) cancel_();
  changed_.notify_all();
}

Task<> EventLink::run() {
  while (!stopped_) {
    auto outcome = Outcome::kBroken;
    bool unheard = true;
    try {
      outcome = co_await follow();
      unheard = false;
    } catch (const Broken& broken) {
      fail(broken.event, broken.what());
    } catch (const net::NetError& error) {
      unheard = !nobody_there(error);
      fail(kUnreachable, error.what());
    } catch (const std::exception& error) {
      fail("peer.garbled", error.what());
    }
    cancel_ = {};
    if (stopped_) co_return;
    unheard_ = unheard_ || unheard;
    if (outcome == Outcome::kLeftOut) {
      set_state(State::kLeftOut);
      leave_process();
      if (!listed_) co_return;
      co_await rest(shared_->options.left_out_for);
      continue;
    }
    set_state(State::kUnreachable);
    tell_if_lost();
    bool waits_for = place_ && !all_told_ && !told_lost_;
    if (!listed_ && !waits_for) {
      leave_process();
      co_return;
    }
    co_await rest(next_pause());
  }
}

// Nobody will hear what it told after it was lost from here.
void EventLink::leave_process() {
  if (unheard_ || (place_ && !all_told_)) missed("it is gone");
  place_.reset();
  all_told_ = false;
  unheard_ = false;
}

Task<> EventLink::rest(milliseconds time) {
  auto ticket = changed_.ticket();
  if (stopped_) co_return;
  co_await changed_.wait(ticket, time);
}

milliseconds EventLink::next_pause() {
  const auto& options = shared_->options;
  pause_ = std::clamp(2 * pause_, options.retry_first, options.retry_most);
  std::uniform_int_distribution<std::int64_t> spread(pause_.count() / 2, pause_.count());
  milliseconds pause(spread(shared_->random));
  if (!place_ || all_told_ || told_lost_) return pause;
  auto until_lost = std::chrono::duration_cast<milliseconds>(broken_at_ + options.lost_after -
                                                             steady_clock::now());
  return std::min(pause, std::max(until_lost, milliseconds(1)));
}

void EventLink::tell_if_lost() {
  bool lost = place_ && !all_told_ && !told_lost_ &&
              steady_clock::now() - broken_at_ >= shared_->options.lost_after;
  if (!lost) return;
  told_lost_ = true;
  missed("it does not answer");
}

void EventLink::missed(const char* why, telemetry::LogLevel level) {
  shared_->gaps.Increment();
  telemetry::log(level, "peer.events_missed",
                 {{"peer", url_.host_and_port()}, {"address", address_}, {"detail", why}});
  shared_->hub.reset_all();
}

Task<EventLink::Outcome> EventLink::follow() {
  Stream stream;
  co_await open(stream);
  auto message = co_await read_message(stream);
  auto start = parse_begin(message);
  if (!start) throw Broken("peer.garbled", "no beginning");
  const auto& instance = start->place.instance;
  if (instance == shared_->own_instance || shared_->followed.contains(instance)) {
    count(instance == shared_->own_instance ? "self" : "twice");
    co_return Outcome::kLeftOut;
  }
  Followed followed(*shared_, instance);
  count("running");
  begin(*start);
  try {
    co_await take_events(stream);
  } catch (...) {
    broken_at_ = steady_clock::now();
    throw;
  }
  co_return Outcome::kBroken;
}

Task<> EventLink::open(Stream& stream) {
  std::string target = kEventsPath;
  if (place_) target += "?after=" + place_text(*place_);
  auto mark = shared_->key.sign({"GET", target, kAnyInstance, UserId()}, shared_->clock.now_s());
  net::HttpRequest request;
  request.url = url_text(url_, target);
  request.connect_to = address_;
  request.headers.push_back({kPeerHeader, mark.header});
  request.deadlines = shared_->options.deadlines;
  std::function<void(std::function<void()>)> on_cancelable = [this](std::function<void()> cancel) {
    cancel_ = std::move(cancel);
  };
  stream.http = co_await shared_->client.open(std::move(request), std::move(on_cancelable));
  auto status = stream.http->status();
  auto proof = stream.http->header(kPeerHeader);
  if (!proof || !shared_->key.proves(*proof, mark.mac, status)) {
    throw Broken("peer.not_proven", "status " + std::to_string(status));
  }
  if (status != 200) throw Broken("peer.refused", "status " + std::to_string(status));
  auto salt = co_await read_event(stream);
  if (salt.type != kSaltEvent) throw Broken("peer.garbled", "no salt");
  stream.unsealer.emplace(shared_->key.sealing_key(mark.mac, salt.data));
}

Task<net::SseEvent> EventLink::read_event(Stream& stream) {
  auto event = stream.reader.next();
  while (!event) {
    auto piece = co_await stream.http->read();
    if (!piece) throw Broken(kUnreachable, "the stream ended");
    stream.reader.push(*piece);
    event = stream.reader.next();
  }
  co_return std::move(*event);
}

Task<std::string> EventLink::read_message(Stream& stream) {
  auto event = co_await read_event(stream);
  auto message = event.type == kSealedEvent ? stream.unsealer->open(event.data) : std::nullopt;
  if (!message) throw Broken("peer.not_proven", "a message is not sealed with the key");
  co_return std::move(*message);
}

// What came before the beginning is in the store by now, for whoever reloads.
void EventLink::begin(const EventsBegin& begin) {
  bool first = !place_;
  bool same = !first && place_->instance == begin.place.instance;
  bool tail_lost = !first && !same && !all_told_;
  bool unheard = unheard_ && !same;
  place_ = begin.place;
  all_told_ = false;
  unheard_ = false;
  told_lost_ = false;
  pause_ = milliseconds(0);
  failure_.clear();
  set_state(State::kConnected);
  telemetry::log_info(
      "peer.events_connected",
      {{"peer", url_.host_and_port()}, {"address", address_}, {"instance", begin.place.instance}});
  if (tail_lost) {
    missed("it was restarted");
  } else if (unheard) {
    missed("another may have been there before");
  } else if (!begin.complete && first) {
    missed("it was there before this server", telemetry::LogLevel::kInfo);
  } else if (!begin.complete) {
    missed("it does not know the last event any more");
  }
}

Task<> EventLink::take_events(Stream& stream) {
  while (!all_told_) {
    auto text = co_await read_message(stream);
    auto message = parse_events(text);
    if (!message) throw Broken("peer.garbled", "a message that is none");
    take(*message);
  }
}

void EventLink::take(const EventsMessage& message) {
  if (message.end) {
    all_told_ = true;
    return;
  }
  for (const auto& [user, event] : message.events) shared_->hub.deliver(user, event);
  shared_->received.Increment(static_cast<double>(message.events.size()));
  place_->number = message.last;
  if (message.garbled > 0) missed("an event cannot be understood");
}

void EventLink::set_state(State state) {
  if (state == state_) return;
  auto gauge = [this](State of) -> telemetry::Gauge* {
    if (of == State::kConnected) return &shared_->connected;
    return of == State::kUnreachable ? &shared_->unreachable : nullptr;
  };
  if (auto* before = gauge(state_)) before->Decrement();
  if (auto* now = gauge(state)) now->Increment();
  state_ = state;
}

void EventLink::count(const char* outcome) {
  shared_->metrics
      .counter("colloquy_peer_calls_total", "Calls of other servers, by what came of them.",
               {{"call", "events"}, {"outcome", outcome}})
      .Increment();
}

void EventLink::fail(const char* event, const std::string& detail) {
  if (stopped_) return;
  if (state_ != State::kConnected) count("unreachable");
  auto failure = event + (": " + detail);
  if (std::exchange(failure_, failure) == failure) return;
  bool passing = failure.starts_with(kUnreachable);
  telemetry::log(passing ? telemetry::LogLevel::kInfo : telemetry::LogLevel::kWarning, event,
                 {{"peer", url_.host_and_port()}, {"address", address_}, {"detail", detail}});
}

}  // namespace colloquy::cluster
