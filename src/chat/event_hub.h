// Tells a user's devices what has changed.
//
// Each user who listens, or did so lately, has a ring of the newest events; whoever follows holds a
// place in it, so that a slow follower costs no memory. An event's id names this server's ring and
// the event's number in it: whoever comes back with an id that the ring still knows goes on from
// there, whoever comes with another one is told to reload. Nothing is kept for users who do not
// listen. Thread-safe.
//
// With several servers, what one publishes the others have to be given (`on_publish`), and they
// `deliver` it to their own followers.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "base/signal.h"
#include "base/task.h"
#include "chat/store_observer.h"
#include "store/types.h"
#include "telemetry/metrics.h"

namespace colloquy::chat {

enum class EventKind : std::uint8_t {
  kConversationCreated,
  kConversationChanged,
  kConversationDeleted,
  kMessageCreated,
  kMessageChanged,  // an answer has ended
  kMessageDeleted,
};

std::string_view event_name(EventKind kind);  // "message.created"
std::optional<EventKind> parse_event_name(std::string_view name);

// What happened, in short: who wants to know more, reads it.
struct Event {
  EventKind kind = EventKind::kConversationChanged;
  ConversationId conversation_id;
  MessageId message_id;  // of messages
  // Of a conversation that was created or changed.
  std::string title;
  std::int64_t created_at_s = 0;
  std::int64_t updated_at_s = 0;
  std::uint64_t message_count = 0;
  bool pinned = false;
  bool archived = false;
  // Of a message that was created or changed.
  store::Role role = store::Role::kUser;
  store::MessageStatus status = store::MessageStatus::kComplete;
};

struct EventHubOptions {
  std::size_t ring_events = 128;       // that are kept of a user's
  std::size_t users_most = 10'000;     // who listen, or did so lately
  std::size_t followers_most = 32;     // of one user
  std::chrono::seconds kept_for{600};  // after the last follower has gone
};

class EventHub final : public StoreObserver {
 public:
  // `instance` names this server in the ids of events.
  EventHub(std::string instance, telemetry::Metrics& metrics, EventHubOptions options = {});
  ~EventHub() override;
  EventHub(const EventHub&) = delete;
  EventHub& operator=(const EventHub&) = delete;

  // To this server's followers and, where it is set, to `on_publish`.
  void publish(const UserId& user, Event event);
  // To this server's followers alone: what another server has published.
  void deliver(const UserId& user, Event event);
  // Tells every follower to reload, and goes on with what comes then: what another server has
  // published may have been missed. Ids from before are not known any more.
  void reset_all();
  // Before the first event.
  void on_publish(std::function<void(const UserId&, const Event&)> forward);

  class Follower;
  // Follows from after `last_event_id` on, which may be empty (from now on) or one that is not
  // known any more (then the first of `next` is a reset). kThrottled: the user has too many
  // followers; kUnavailable: too many users, or shutting down.
  std::unique_ptr<Follower> follow(const UserId& user, std::string_view last_event_id);

  // Every follower's stream ends, and there are no new ones.
  void close();

  void conversation_created(const store::Conversation& conversation) override;
  void conversation_changed(const store::Conversation& conversation) override;
  void conversation_deleted(const UserId& user, ConversationId id) override;
  void message_added(const UserId& user, ConversationId id, const store::Message& message) override;
  void message_deleted(const UserId& user, ConversationId id, MessageId message) override;
  void turn_ended(const boost::asio::any_io_executor& executor,
                  const store::Conversation& conversation, const store::Message& reply) override;

 private:
  struct Ring;
  struct Instruments;
  std::shared_ptr<Ring> ring_of(const UserId& user);
  void forget_idle();
  void leave(const std::shared_ptr<Ring>& ring);

  const std::string instance_;
  const EventHubOptions options_;
  std::unique_ptr<Instruments> instruments_;
  std::function<void(const UserId&, const Event&)> forward_;
  mutable std::mutex mutex_;
  bool closed_ = false;                                           // guarded by mutex_
  std::uint64_t rings_made_ = 0;                                  // guarded by mutex_
  std::chrono::steady_clock::time_point next_look_;               // guarded by mutex_
  std::unordered_map<std::string, std::shared_ptr<Ring>> rings_;  // by user; guarded by mutex_
};

// One stream of events. Belongs to one event loop.
class EventHub::Follower {
 public:
  Follower(EventHub& hub, std::shared_ptr<Ring> ring, std::uint64_t after, bool reset);
  ~Follower();
  Follower(const Follower&) = delete;
  Follower& operator=(const Follower&) = delete;

  struct Item {
    std::string id;
    Event event;
  };
  struct Step {
    std::vector<Item> items;           // empty with none of the below: the time was up first
    std::optional<std::string> reset;  // what came before this id is not known: reload
    bool ended = false;                // too slow (after a reset), or the server shuts down
  };
  // What came after the last step, as soon as there is something.
  Task<Step> next(std::chrono::milliseconds at_most);
  // Of the place that it has reached: where whoever comes back goes on.
  std::string position() const;

 private:
  EventHub& hub_;
  std::shared_ptr<Ring> ring_;
  std::uint64_t after_;
  bool reset_;
};

}  // namespace colloquy::chat
