#include "store/dynamodb/renewer.h"

#include <algorithm>
#include <exception>

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
  const auto& conversation = item.conversation;
  auto lifetime = conversation.lifetime_seconds();
  if (!lifetime) return item.renewed_at_s.has_value() || item.removal_s.has_value();
  bool for_another = item.renewed_for_s && *item.renewed_for_s != *lifetime;
  auto expires_s = conversation.updated_at_s + *lifetime;
  bool too_soon = !item.removal_s || *item.removal_s < conversation_removal_s(*lifetime, expires_s);
  return item.removals_pending() || for_another || too_soon ||
         item.renewed_at_s.value_or(0) + *lifetime <= now_s;
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
  std::set<Place> again;
  bool refused = false;
  while (!stopped_ && !refused) {
    auto place = take();
    if (!place) break;
    bool done = false;
    try {
      done = co_await renew(place->first, place->second);
    } catch (const Error& error) {
      telemetry::log_warning("store.renewal_failed",
                             {{"conversation_id", place->second.to_string()},
                              {"error", error.message()},
                              {"detail", error.detail()}});
      // One that is damaged stays so. Where the service is out, it is for the others as well.
      done = error.code() == ErrorCode::kInternal;
      refused = !done;
    }
    if (!done) again.insert(std::move(*place));
  }
  std::scoped_lock lock(mutex_);
  waiting_.merge(again);
}

Task<bool> Renewer::renew(UserId user, ConversationId id, Progress* progress) {
  auto now_s = clock_.now_s();
  auto claimed_until_s = now_s + kClaimSeconds;
  auto claim = co_await rows_->claim_renewal(user, id, now_s, claimed_until_s);
  if (claim != Rows::Renewal::kOurs) co_return claim == Rows::Renewal::kGone;
  bool done = false;
  std::exception_ptr failure;
  try {
    done = co_await renew_claimed(user, id, claimed_until_s, progress);
  } catch (const Error&) {
    failure = std::current_exception();
  }
  if (done) co_return true;
  // Others need not wait for the claim's end. Where the service is out, they have to.
  try {
    co_await rows_->move_renewal(user, id, claimed_until_s, std::nullopt);
  } catch (const Error&) {
    if (!failure) throw;
  }
  if (failure) std::rethrow_exception(failure);
  co_return false;
}

Task<bool> Renewer::renew_claimed(UserId user, ConversationId id, std::int64_t& claimed_until_s,
                                  Progress* progress) {
  auto item = co_await rows_->conversation(user, id);
  if (!item) co_return true;
  auto now_s = clock_.now_s();
  const auto& conversation = item->conversation;
  auto lifetime = conversation.lifetime_seconds();
  auto ttl = removal_time_s(lifetime, now_s);
  // An answer that is being made may end later than all that.
  if (ttl) ttl = std::max(*ttl, conversation.held_until_s + *lifetime);
  bool all = co_await set_removals(conversation, ttl, claimed_until_s, progress);
  if (!all) co_return false;
  std::optional<std::int64_t> renewed_at_s;
  if (ttl) renewed_at_s = now_s;
  co_return co_await rows_->end_renewal(std::move(*item), claimed_until_s, renewed_at_s);
}

Task<bool> Renewer::set_removals(const Conversation& conversation, std::optional<std::int64_t> ttl,
                                 std::int64_t& claimed_until_s, Progress* progress) {
  auto lifetime = conversation.lifetime_seconds();
  Rows::MessageQuery query;
  query.conversation = conversation.id;
  query.limit = kRowsAtOnce;
  do {
    auto rows = co_await rows_->messages(query);
    std::size_t writes = 0;
    for (const auto& message : rows.items) {
      // One that was written meanwhile has a later time; one of a longer lifetime a much later one.
      bool later = ttl && message.ttl && *message.ttl >= *ttl && *message.ttl <= *ttl + *lifetime;
      if (message.ttl == ttl || later) continue;
      co_await rows_->set_removal(message, ttl);
      renewed_.Increment();
      writes += 1 + message.parts;
    }
    if (progress != nullptr) co_await progress->wrote(writes);
    auto from_s = claimed_until_s;
    if (clock_.now_s() > from_s - kClaimSeconds / 2) {
      auto until_s = clock_.now_s() + kClaimSeconds;
      bool ours =
          co_await rows_->move_renewal(conversation.user_id, conversation.id, from_s, until_s);
      if (!ours) co_return false;
      claimed_until_s = until_s;
    }
    query.start = std::move(rows.next);
  } while (!query.start.empty() && !stopped_);
  co_return !stopped_;
}

}  // namespace colloquy::store::dynamodb
