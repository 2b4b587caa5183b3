// What has happened to this server's users, for the other servers: the newest events of all users
// in one ring. Each server that listens holds a place in it and nothing else; who falls behind what
// the ring holds is cut off, and is told when it comes back that it has missed something. Events
// are numbered from 1 on in each process. Thread-safe.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/signal.h"
#include "base/task.h"
#include "chat/event_hub.h"
#include "cluster/event_messages.h"

namespace colloquy::cluster {

struct EventOutboxOptions {
  std::size_t ring_bytes = std::size_t{8} * 1024 * 1024;  // of events, as JSON
  std::size_t subscribers_most = 128;                     // some of them dead, not yet noticed
};

class EventOutbox {
 public:
  // `instance`: this process.
  explicit EventOutbox(std::string instance, EventOutboxOptions options = {});

  // For EventHub::on_publish.
  void publish(const UserId& user, const chat::Event& event);

  class Subscriber;
  // From `place` on where it is one of this process's that the ring still knows; without one from
  // the first event on if that is still there; else from now on, and not complete. kUnavailable:
  // too many, or closed.
  std::unique_ptr<Subscriber> subscribe(const std::optional<EventPlace>& place);
  std::size_t subscribers() const;

  // Ends every stream after what was published; there are no new ones. `all_told`: nothing is
  // published any more.
  void close(bool all_told);

 private:
  const std::string instance_;
  const EventOutboxOptions options_;
  mutable std::mutex mutex_;
  std::deque<std::string> events_;  // as they stand in a message; guarded by mutex_
  std::size_t bytes_ = 0;           // of them; guarded by mutex_
  std::uint64_t last_ = 0;          // the number of the newest; guarded by mutex_
  std::size_t subscribers_ = 0;     // guarded by mutex_
  bool closed_ = false;             // guarded by mutex_
  bool all_told_ = false;           // guarded by mutex_
  Signal changed_;
};

// One server that listens. Belongs to one event loop.
class EventOutbox::Subscriber {
 public:
  Subscriber(EventOutbox& outbox, EventsBegin begin);
  ~Subscriber();
  Subscriber(const Subscriber&) = delete;
  Subscriber& operator=(const Subscriber&) = delete;

  const EventsBegin& begin() const { return begin_; }

  struct Step {
    std::vector<std::string> events;  // none, with none of the below: the time was up first
    std::uint64_t last = 0;           // the place after them
    bool too_slow = false;            // events were dropped that it has not had
    bool ended = false;               // there are no more
    bool all_told = false;            // nor will there be: it has missed nothing
  };
  // What came after the last step, as soon as there is something.
  Task<Step> next(std::chrono::milliseconds at_most);

 private:
  EventOutbox& outbox_;
  const EventsBegin begin_;
  std::uint64_t after_;
};

}  // namespace colloquy::cluster
