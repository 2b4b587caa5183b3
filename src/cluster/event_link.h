// Follows the events of the server at one address, for this server's followers, and tells these to
// reload where some may have been missed. Reconnects until it is stopped, or until its address is
// no longer listed and there is nothing left to wait for. Belongs to one event loop.
//
// Nothing is missed where the connection is taken up again at the same process's last event; nor
// where that process has said its end, nobody was at the address since, and a new process still has
// all that it ever told. In every other case followers are told to reload: when the server is heard
// again, and before that when it has been silent for `lost_after`.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <unordered_set>

#include "base/clock.h"
#include "base/signal.h"
#include "base/task.h"
#include "chat/event_hub.h"
#include "cluster/event_messages.h"
#include "cluster/peer_key.h"
#include "cluster/sealed.h"
#include "net/http_client.h"
#include "net/sse_reader.h"
#include "net/url.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace colloquy::cluster {

struct EventLinkOptions {
  std::chrono::milliseconds retry_first{100};  // doubles up to the next
  std::chrono::milliseconds retry_most{5'000};
  std::chrono::milliseconds lost_after{5'000};
  // How long an address is left alone at which this very server answers, or one that is followed at
  // another address already.
  std::chrono::milliseconds left_out_for{30'000};
  // The other side gives a sign of life every five seconds.
  net::Deadlines deadlines{std::chrono::milliseconds(2'000), std::chrono::milliseconds(5'000),
                           std::chrono::milliseconds(15'000)};
};

// What the links of a server share. All references outlive them.
struct EventLinkShared {
  EventLinkShared(std::string own, chat::EventHub& events, net::HttpClient& http,
                  const PeerKey& secret, const Clock& time, telemetry::Metrics& meters,
                  EventLinkOptions settings);

  const std::string own_instance;
  chat::EventHub& hub;
  net::HttpClient& client;
  const PeerKey& key;
  const Clock& clock;
  telemetry::Metrics& metrics;
  telemetry::Gauge& connected;
  telemetry::Gauge& unreachable;
  telemetry::Counter& received;
  telemetry::Counter& gaps;
  const EventLinkOptions options;
  std::unordered_set<std::string> followed;  // processes that a link is connected to
  std::minstd_rand random;
};

class EventLink {
 public:
  EventLink(std::shared_ptr<EventLinkShared> shared, net::Url url, std::string address);
  ~EventLink();
  EventLink(const EventLink&) = delete;
  EventLink& operator=(const EventLink&) = delete;

  // Once; the link outlives it. Does not throw for what the other server is or does.
  Task<> run();
  // Whether the address is (still) one at which a server is to be found.
  void set_listed(bool listed) { listed_ = listed; }
  // run() returns soon.
  void stop();

 private:
  enum class Outcome : std::uint8_t { kBroken, kLeftOut };
  enum class State : std::uint8_t { kNew, kConnected, kUnreachable, kLeftOut };
  struct Stream {
    std::unique_ptr<net::ResponseStream> http;
    net::SseReader reader;
    std::optional<Unsealer> unsealer;
  };

  Task<Outcome> follow();
  Task<> open(Stream& stream);
  Task<net::SseEvent> read_event(Stream& stream);
  // The next message, unsealed.
  Task<std::string> read_message(Stream& stream);
  // Until the end of the stream, which may be an orderly one.
  Task<> take_events(Stream& stream);
  Task<> rest(std::chrono::milliseconds time);
  void begin(const EventsBegin& begin);
  void take(const EventsMessage& message);
  void missed(const char* why, telemetry::LogLevel level = telemetry::LogLevel::kWarning);
  void tell_if_lost();
  void leave_process();
  std::chrono::milliseconds next_pause();
  void set_state(State state);
  void count(const char* outcome);
  // Logged when it is another than before.
  void fail(const char* event, const std::string& detail);

  const std::shared_ptr<EventLinkShared> shared_;
  const net::Url url_;
  const std::string address_;
  State state_ = State::kNew;
  bool listed_ = true;
  bool stopped_ = false;
  std::optional<EventPlace> place_;  // reached, in the process that was heard last
  bool all_told_ = false;            // that process has said its end
  bool told_lost_ = false;           // since the connection broke
  bool unheard_ = false;             // since then, somebody may have been there who was not heard
  std::chrono::steady_clock::time_point broken_at_;
  std::chrono::milliseconds pause_{0};
  std::string failure_;  // the last
  std::function<void()> cancel_;
  Signal changed_;
};

}  // namespace colloquy::cluster
