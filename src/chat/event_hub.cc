#include "chat/event_hub.h"

#include <charconv>
#include <utility>

#include "base/error.h"

namespace colloquy::chat {

using std::chrono::steady_clock;

// The newest events of one user. They are numbered from 1.
struct EventHub::Ring {
  Ring(std::string name_in) : name(std::move(name_in)) {}

  const std::string name;  // of its ids
  mutable std::mutex mutex;
  std::deque<Event> events;  // guarded by mutex
  std::uint64_t last = 0;    // the number of the newest; guarded by mutex
  std::uint64_t reset = 0;   // the number that stands for the last reset; guarded by mutex
  bool closed = false;       // guarded by mutex
  Signal changed;
  std::size_t followers = 0;            // guarded by the hub's mutex_
  steady_clock::time_point idle_since;  // guarded by the hub's mutex_

  std::uint64_t before_first() const { return last - events.size(); }
  std::string id(std::uint64_t number) const { return name + "-" + std::to_string(number); }
  // The number in an id of this ring; nullopt for any other.
  std::optional<std::uint64_t> parse(std::string_view id) const {
    if (!id.starts_with(name) || id.size() <= name.size() + 1 || id[name.size()] != '-') {
      return std::nullopt;
    }
    std::uint64_t number = 0;
    auto digits = id.substr(name.size() + 1);
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    bool whole = error == std::errc() && end == digits.data() + digits.size();
    if (!whole) return std::nullopt;
    return number;
  }
};

struct EventHub::Instruments {
  explicit Instruments(telemetry::Metrics& metrics)
      : followers(metrics.gauge("colloquy_event_followers", "Streams of events that are open.")),
        published(metrics.counter("colloquy_events_total", "Events that somebody may follow.")),
        resets(metrics.counter("colloquy_event_resets_total",
                               "Followers that were told to reload.")) {}
  telemetry::Gauge& followers;
  telemetry::Counter& published;
  telemetry::Counter& resets;
};

std::string_view event_name(EventKind kind) {
  switch (kind) {
    case EventKind::kConversationCreated:
      return "conversation.created";
    case EventKind::kConversationChanged:
      return "conversation.changed";
    case EventKind::kConversationDeleted:
      return "conversation.deleted";
    case EventKind::kMessageCreated:
      return "message.created";
    case EventKind::kMessageChanged:
      return "message.changed";
    case EventKind::kMessageDeleted:
      return "message.deleted";
  }
  return "conversation.changed";
}

std::optional<EventKind> parse_event_name(std::string_view name) {
  for (auto kind : {EventKind::kConversationCreated, EventKind::kConversationChanged,
                    EventKind::kConversationDeleted, EventKind::kMessageCreated,
                    EventKind::kMessageChanged, EventKind::kMessageDeleted}) {
    if (event_name(kind) == name) return kind;
  }
  return std::nullopt;
}

EventHub::EventHub(std::string instance, telemetry::Metrics& metrics, EventHubOptions options)
    : instance_(std::move(instance)),
      options_(options),
      instruments_(std::make_unique<Instruments>(metrics)) {}

EventHub::~EventHub() = default;

void EventHub::on_publish(std::function<void(const UserId&, const Event&)> forward) {
  forward_ = std::move(forward);
}

void EventHub::publish(const UserId& user, Event event) {
  if (forward_) forward_(user, event);
  deliver(user, std::move(event));
}

void EventHub::deliver(const UserId& user, Event event) {
  std::shared_ptr<Ring> ring;
  {
    std::scoped_lock lock(mutex_);
    auto found = rings_.find(user.value());
    if (found == rings_.end()) return;
    ring = found->second;
  }
  {
    std::scoped_lock lock(ring->mutex);
    if (ring->closed) return;
    ring->events.push_back(std::move(event));
    ++ring->last;
    if (ring->events.size() > options_.ring_events) ring->events.pop_front();
  }
  instruments_->published.Increment();
  ring->changed.notify_all();
}

void EventHub::reset_all() {
  std::vector<std::shared_ptr<Ring>> rings;
  {
    std::scoped_lock lock(mutex_);
    for (const auto& [user, ring] : rings_) rings.push_back(ring);
  }
  for (const auto& ring : rings) {
    {
      std::scoped_lock lock(ring->mutex);
      ring->events.clear();
      ring->reset = ++ring->last;
    }
    ring->changed.notify_all();
  }
}

// Rings that nobody has followed for a while go.
void EventHub::forget_idle() {
  auto now = steady_clock::now();
  if (now < next_look_) return;
  next_look_ = now + options_.kept_for / 10;
  std::erase_if(rings_, [&](const auto& entry) {
    const auto& ring = *entry.second;
    return ring.followers == 0 && ring.idle_since + options_.kept_for <= now;
  });
}

std::shared_ptr<EventHub::Ring> EventHub::ring_of(const UserId& user) {
  auto found = rings_.find(user.value());
  if (found != rings_.end()) return found->second;
  if (rings_.size() >= options_.users_most) throw unavailable("Too many users are listening.");
  auto ring = std::make_shared<Ring>(instance_ + "-" + std::to_string(++rings_made_));
  rings_.emplace(user.value(), ring);
  return ring;
}

std::unique_ptr<EventHub::Follower> EventHub::follow(const UserId& user,
                                                     std::string_view last_event_id) {
  std::shared_ptr<Ring> ring;
  {
    std::scoped_lock lock(mutex_);
    if (closed_) throw unavailable("The server is shutting down.");
    forget_idle();
    ring = ring_of(user);
    if (ring->followers >= options_.followers_most) {
      throw Error(ErrorCode::kThrottled, "You follow your events too many times at once.")
          .with_retry_after(10);
    }
    ++ring->followers;
  }
  instruments_->followers.Increment();
  std::scoped_lock lock(ring->mutex);
  auto after = ring->last;
  bool reset = false;
  if (!last_event_id.empty()) {
    auto number = ring->parse(last_event_id);
    bool known = number && *number >= ring->before_first() && *number <= ring->last;
    if (known) after = *number;
    reset = !known;
  }
  return std::make_unique<Follower>(*this, ring, after, reset);
}

void EventHub::leave(const std::shared_ptr<Ring>& ring) {
  std::scoped_lock lock(mutex_);
  --ring->followers;
  ring->idle_since = steady_clock::now();
  instruments_->followers.Decrement();
}

void EventHub::close() {
  std::vector<std::shared_ptr<Ring>> rings;
  {
    std::scoped_lock lock(mutex_);
    closed_ = true;
    for (const auto& [user, ring] : rings_) rings.push_back(ring);
  }
  for (const auto& ring : rings) {
    {
      std::scoped_lock lock(ring->mutex);
      ring->closed = true;
    }
    ring->changed.notify_all();
  }
}

EventHub::Follower::Follower(EventHub& hub, std::shared_ptr<Ring> ring, std::uint64_t after,
                             bool reset)
    : hub_(hub), ring_(std::move(ring)), after_(after), reset_(reset) {}

EventHub::Follower::~Follower() { hub_.leave(ring_); }

std::string EventHub::Follower::position() const { return ring_->id(after_); }

Task<EventHub::Follower::Step> EventHub::Follower::next(std::chrono::milliseconds at_most) {
  auto deadline = steady_clock::now() + at_most;
  Step step;
  while (true) {
    std::uint64_t ticket = 0;
    {
      std::scoped_lock lock(ring_->mutex);
      ticket = ring_->changed.ticket();
      bool reset = reset_ || after_ < ring_->reset;
      bool too_slow = !reset && after_ < ring_->before_first();
      if (reset || too_slow) {
        after_ = ring_->last;
        step.reset = ring_->id(after_);
        step.ended = too_slow || ring_->closed;
        reset_ = false;
        hub_.instruments_->resets.Increment();
        co_return step;
      }
      auto first = after_ - ring_->before_first();
      for (auto i = first; i < ring_->events.size(); ++i) {
        step.items.push_back({ring_->id(++after_), ring_->events[i]});
      }
      step.ended = ring_->closed;
      if (!step.items.empty() || step.ended) co_return step;
    }
    auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - steady_clock::now());
    if (left.count() <= 0) co_return step;
    co_await ring_->changed.wait(ticket, left);
  }
}

namespace {

Event of_conversation(EventKind kind, const store::Conversation& conversation) {
  Event event;
  event.kind = kind;
  event.conversation_id = conversation.id;
  event.title = conversation.title;
  event.created_at_s = conversation.created_at_s;
  event.updated_at_s = conversation.updated_at_s;
  event.message_count = conversation.message_count;
  event.pinned = conversation.pinned;
  event.archived = conversation.archived;
  return event;
}

Event of_message(EventKind kind, ConversationId id, const store::Message& message) {
  Event event;
  event.kind = kind;
  event.conversation_id = id;
  event.message_id = message.id;
  event.role = message.role;
  event.status = message.status;
  return event;
}

}  // namespace

void EventHub::conversation_created(const store::Conversation& conversation) {
  publish(conversation.user_id, of_conversation(EventKind::kConversationCreated, conversation));
}

void EventHub::conversation_changed(const store::Conversation& conversation) {
  publish(conversation.user_id, of_conversation(EventKind::kConversationChanged, conversation));
}

void EventHub::conversation_deleted(const UserId& user, ConversationId id) {
  Event event;
  event.kind = EventKind::kConversationDeleted;
  event.conversation_id = id;
  publish(user, std::move(event));
}

void EventHub::message_added(const UserId& user, ConversationId id, const store::Message& message) {
  publish(user, of_message(EventKind::kMessageCreated, id, message));
}

void EventHub::message_deleted(const UserId& user, ConversationId id, MessageId message) {
  Event event;
  event.kind = EventKind::kMessageDeleted;
  event.conversation_id = id;
  event.message_id = message;
  publish(user, std::move(event));
}

void EventHub::turn_ended(const boost::asio::any_io_executor& /*executor*/,
                          const store::Conversation& conversation, const store::Message& reply) {
  publish(conversation.user_id, of_message(EventKind::kMessageChanged, conversation.id, reply));
}

}  // namespace colloquy::chat
