#include "store/dynamodb/renewer.h"

#include "base/error.h"
#include "telemetry/log.h"

namespace colloquy::store::dynamodb {
namespace {

constexpr std::int64_t kClaimSeconds = 600;
constexpr std::size_t kRowsAtOnce = 200;
constexpr std::size_t kWaitingMost = 10'000;  // more come again with their next activity
constexpr std::chrono::milliseconds kLongWait{60'000};

}  // namespace

Renewer::Renewer(std::shared_ptr<Rows> rows, const Clock& clock, telemetry::Metrics& metrics)
    : rows_(std::move(rows)),
      clock_(clock),
      renewed_(metrics.counter("colloquy_store_renewed_messages_total",
                               "Messages whose removal by the service was put off.")) {}

bool Renewer::is_due(const ConversationItem& item, std::int64_t now_s) {
  const auto& ttl_seconds = item.conversation.ttl_seconds;
  if (!ttl_seconds) return item.renewed_at_s.has_value();
  return item.renewed_at_s.value_or(0) + *ttl_seconds <= now_s;
}

void Renewer::after_activity(const ConversationItem& item) {
  if (!is_due(item, clock_.now_s())) return;
  {
    std::scoped_lock lock(mutex_);
    if (waiting_.size() >= kWaitingMost) return;
    waiting_.emplace(item.conversation.user_id, item.conversation.id);
  }
  wanted_.notify_all();
}

void Renewer::stop() {
  stopped_ = true;
  wanted_.notify_all();
}

std::optional<Renewer::Place> Renewer::take() {
  std::scoped_lock lock(mutex_);
  if (waiting_.empty()) return std::nullopt;
  return std::move(waiting_.extract(waiting_.begin()).value());
}

Task<> Renewer::run(std::shared_ptr<Renewer> self) {
  while (!self->stopped_) {
    auto ticket = self->wanted_.ticket();
    co_await self->renew_waiting();
    if (self->stopped_) break;
    co_await self->wanted_.wait(ticket, kLongWait);
  }
}

Task<> Renewer::renew_waiting() {
  while (!stopped_) {
    auto place = take();
    if (!place) co_return;
    try {
      co_await renew(place->first, place->second);
    } catch (const Error& error) {
      telemetry::log_warning("store.renewal_failed",
                             {{"conversation_id", place->second.to_string()},
                              {"error", error.message()},
                              {"detail", error.detail()}});
    }
  }
}

Task<> Renewer::renew(UserId user, ConversationId id) {
  auto now_s = clock_.now_s();
  bool ours = co_await rows_->claim_renewal(user, id, now_s, now_s + kClaimSeconds);
  if (!ours) co_return;
  auto item = co_await rows_->conversation(user, id);
  if (!item) co_return;
  auto ttl = removal_time_s(item->conversation.ttl_seconds, now_s);
  Rows::MessageQuery query;
  query.conversation = id;
  query.limit = kRowsAtOnce;
  do {
    auto rows = co_await rows_->messages(query);
    for (const auto& message : rows.items) {
      bool later = ttl && message.ttl && *message.ttl >= *ttl;
      if (message.ttl == ttl || later) continue;
      co_await rows_->set_removal(message, ttl);
      renewed_.Increment();
    }
    query.start = std::move(rows.next);
  } while (!query.start.empty() && !stopped_);
  if (stopped_) co_return;
  std::optional<std::int64_t> renewed_at_s;
  if (ttl) renewed_at_s = now_s;
  co_await rows_->end_renewal(user, id, renewed_at_s);
}

}  // namespace colloquy::store::dynamodb
