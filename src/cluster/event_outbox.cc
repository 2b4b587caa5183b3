#include "cluster/event_outbox.h"

#include <utility>

#include "base/error.h"

namespace colloquy::cluster {
namespace {

using std::chrono::steady_clock;

// Of one message to another server.
constexpr std::size_t kMessageBytes = std::size_t{64} * 1024;

}  // namespace

EventOutbox::EventOutbox(std::string instance, EventOutboxOptions options)
    : instance_(std::move(instance)), options_(options) {}

void EventOutbox::publish(const UserId& user, const chat::Event& event) {
  auto text = forwarded_json(user, event);
  {
    std::scoped_lock lock(mutex_);
    if (closed_) all_told_ = false;
    ++last_;
    bytes_ += text.size();
    events_.push_back(std::move(text));
    while (bytes_ > options_.ring_bytes) {
      bytes_ -= events_.front().size();
      events_.pop_front();
    }
  }
  changed_.notify_all();
}

std::unique_ptr<EventOutbox::Subscriber> EventOutbox::subscribe(
    const std::optional<EventPlace>& place) {
  std::scoped_lock lock(mutex_);
  if (closed_) throw unavailable("The server is shutting down.");
  if (subscribers_ >= options_.subscribers_most) throw unavailable("Too many servers listen.");
  auto before_first = last_ - events_.size();
  // Of another process, or of none: all that this one has told.
  auto from = place && place->instance == instance_ ? place->number : 0;
  bool complete = from >= before_first && from <= last_;
  ++subscribers_;
  EventsBegin begin{{instance_, complete ? from : last_}, complete};
  return std::make_unique<Subscriber>(*this, std::move(begin));
}

std::size_t EventOutbox::subscribers() const {
  std::scoped_lock lock(mutex_);
  return subscribers_;
}

void EventOutbox::close(bool all_told) {
  {
    std::scoped_lock lock(mutex_);
    closed_ = true;
    all_told_ = all_told;
  }
  changed_.notify_all();
}

EventOutbox::Subscriber::Subscriber(EventOutbox& outbox, EventsBegin begin)
    : outbox_(outbox), begin_(std::move(begin)), after_(begin_.place.number) {}

EventOutbox::Subscriber::~Subscriber() {
  std::scoped_lock lock(outbox_.mutex_);
  --outbox_.subscribers_;
}

Task<EventOutbox::Subscriber::Step> EventOutbox::Subscriber::next(
    std::chrono::milliseconds at_most) {
  auto deadline = steady_clock::now() + at_most;
  Step step;
  while (true) {
    std::uint64_t ticket = 0;
    {
      std::scoped_lock lock(outbox_.mutex_);
      ticket = outbox_.changed_.ticket();
      auto before_first = outbox_.last_ - outbox_.events_.size();
      step.too_slow = after_ < before_first;
      if (!step.too_slow) {
        std::size_t bytes = 0;
        for (auto i = after_ - before_first; i < outbox_.events_.size(); ++i) {
          if (bytes > kMessageBytes) break;
          bytes += outbox_.events_[i].size();
          step.events.push_back(outbox_.events_[i]);
          ++after_;
        }
      }
      step.last = after_;
      step.ended = outbox_.closed_ && after_ == outbox_.last_;
      step.all_told = step.ended && outbox_.all_told_;
      if (step.too_slow || step.ended || !step.events.empty()) co_return step;
    }
    auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - steady_clock::now());
    if (left.count() <= 0) co_return step;
    co_await outbox_.changed_.wait(ticket, left);
  }
}

}  // namespace colloquy::cluster
