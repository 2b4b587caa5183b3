#include "store/dynamodb/retention_pass.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "telemetry/log.h"

namespace colloquy::store::dynamodb {
namespace {

constexpr std::int64_t kClaimSeconds = 600;
constexpr std::int64_t kConversationsAtOnce = 100;
// Of another server's pass, or of the next period's beginning.
constexpr std::chrono::milliseconds kBetweenLooks{3'600'000};
constexpr std::chrono::milliseconds kAfterFailure{60'000};
constexpr std::chrono::milliseconds kSoonestLook{1'000};
constexpr std::int64_t kHourSeconds = 3600;
constexpr std::int64_t kDaySeconds = 86'400;
// Once a period what servers with another setting have left behind is looked for, but not more
// often than this.
constexpr std::int64_t kLeastPeriodSeconds = kDaySeconds;
// After this a setting that is not this server's is no longer that of servers that come after it.
constexpr std::int64_t kOthersSeconds = kDaySeconds + kHourSeconds;
constexpr std::int64_t kSoonestSeconds = 60;

// The shorter of two lifetimes, of which 0 is none.
std::int64_t shorter(std::int64_t a, std::int64_t b) {
  return a == 0 || b == 0 ? std::max(a, b) : std::min(a, b);
}

}  // namespace

struct RetentionPass::Run final : Renewer::Progress {
  Run(RetentionPass& pass_in, RetentionItem item_in, Pace pace_in)
      : pass(pass_in), item(std::move(item_in)), pace(pace_in) {}
  Task<> wrote(std::size_t writes) override { return pass.keep_pace(*this, writes); }

  RetentionPass& pass;
  RetentionItem item;
  const Pace pace;
  bool ours = true;   // no other server has it
  bool busy = false;  // a conversation of the page is not done, and is to be come back to
};

RetentionPass::RetentionPass(std::shared_ptr<Rows> rows, std::shared_ptr<Renewer> renewer,
                             std::shared_ptr<Purger> purger, const Clock& clock, IdSource& ids,
                             std::size_t writes_a_second, OnExpired on_expired,
                             telemetry::Metrics& metrics)
    : rows_(std::move(rows)),
      renewer_(std::move(renewer)),
      purger_(std::move(purger)),
      clock_(clock),
      ids_(ids),
      writes_a_second_(std::max<std::size_t>(writes_a_second, 1)),
      on_expired_(std::move(on_expired)),
      looked_at_(metrics.counter("colloquy_store_retention_looked_at_total",
                                 "Conversations looked at since the retention has changed.")),
      expired_(metrics.counter("colloquy_store_expired_conversations_total",
                               "Conversations that were removed because they had expired.")) {}

void RetentionPass::stop() {
  stopped_ = true;
  wanted_.notify_all();
}

Task<> RetentionPass::run(std::shared_ptr<RetentionPass> self) {
  while (!self->stopped_) {
    auto ticket = self->wanted_.ticket();
    auto wait = kAfterFailure;
    try {
      wait = co_await self->pass_if_due(Pace::kBounded);
    } catch (const Error& error) {
      telemetry::log_warning("store.retention_pass_failed",
                             {{"error", error.message()}, {"detail", error.detail()}});
    }
    if (self->stopped_) break;
    co_await self->wanted_.wait(ticket, wait);
  }
}

Task<> RetentionPass::note() {
  constexpr int kTries = 10;
  for (int tries = 0; tries < kTries; ++tries) {
    auto found = co_await rows_->retention();
    auto item = found.value_or(RetentionItem());
    if (item.target_seconds == wanted_seconds()) co_return;
    auto now_s = clock_.now_s();
    bool soon = item.applied_seconds == -1 || item.changed_at_s + kDaySeconds > now_s;
    auto before = soon ? shorter(item.previous_seconds, item.target_seconds) : item.target_seconds;
    item.previous_seconds = before;
    item.changed_at_s = now_s;
    item.applied_seconds = -1;
    item.target_seconds = wanted_seconds();
    item.begun_at_s = now_s;
    item.position.clear();
    item.claimed_until_s = 0;
    bool noted = co_await save(item);
    if (noted) co_return;
  }
  throw unavailable("Servers with another retention are at the same tables.");
}

Task<> RetentionPass::pass_now() { co_await pass_if_due(Pace::kAny); }

std::optional<std::int64_t> RetentionPass::next_pass_s(const RetentionItem& item) const {
  std::optional<std::int64_t> next;
  // What was written since the last one began is not to be removed before the next one.
  auto half = item.previous_seconds == 0 ? kDaySeconds
                                         : std::max(item.previous_seconds / 2, kSoonestSeconds);
  for (auto after :
       {std::min(kHourSeconds, half), kHourSeconds, std::min(kDaySeconds, half), kDaySeconds}) {
    auto at_s = item.changed_at_s + after;
    bool open = item.changed_at_s != 0 && item.applied_at_s < at_s;
    if (open && (!next || at_s < *next)) next = at_s;
  }
  if (item.target_seconds == 0) return next;
  auto period_s = item.applied_at_s + std::max(item.target_seconds, kLeastPeriodSeconds);
  return std::min(period_s, next.value_or(period_s));
}

Task<bool> RetentionPass::save(RetentionItem& item) {
  auto before = std::exchange(item.stamp, ids_.next(clock_.now_ms()).to_string());
  co_return co_await rows_->replace_retention(item, before);
}

Task<std::chrono::milliseconds> RetentionPass::pass_if_due(Pace pace) {
  auto found = co_await rows_->retention();
  auto item = found.value_or(RetentionItem());
  auto now_s = clock_.now_s();
  if (item.target_seconds != wanted_seconds()) {
    telemetry::log_warning("store.another_retention", {{"retention_seconds", wanted_seconds()},
                                                       {"noted_seconds", item.target_seconds}});
    if (item.changed_at_s + kOthersSeconds > now_s) co_return kBetweenLooks;
    co_await note();
    co_return kAfterFailure;
  }
  bool goes_on = item.applied_seconds != wanted_seconds();
  auto next_s = goes_on ? now_s : next_pass_s(item);
  if (!next_s) co_return kBetweenLooks;
  if (*next_s > now_s) {
    std::chrono::milliseconds until(1000 * (*next_s - now_s));
    co_return std::min(until, kBetweenLooks);
  }
  bool claimed = goes_on && item.claimed_until_s > now_s && pace == Pace::kBounded;
  if (claimed) co_return kAfterFailure;
  if (item.position.empty()) item.begun_at_s = now_s;
  item.applied_seconds = -1;
  item.claimed_until_s = now_s + kClaimSeconds;
  Run run(*this, std::move(item), pace);
  run.ours = co_await save(run.item);
  telemetry::log_info("store.retention_pass",
                      {{"retention_seconds", wanted_seconds()}, {"goes_on", goes_on}});
  co_return co_await pass(run);
}

Task<std::chrono::milliseconds> RetentionPass::pass(Run& run) {
  auto& item = run.item;
  bool more = true;
  while (run.ours && more) {
    auto page = co_await rows_->all_conversations(item.position, kConversationsAtOnce);
    run.busy = false;
    for (const auto& conversation : page.items) {
      if (stopped_ || !run.ours) break;
      co_await settle(conversation, run);
    }
    if (!run.ours) break;
    if (stopped_ || run.busy) {
      // The page is gone through again: what was done in it is found done.
      item.claimed_until_s = 0;
      co_await save(item);
      break;
    }
    item.position = std::move(page.next);
    more = !item.position.empty();
    item.claimed_until_s = clock_.now_s() + kClaimSeconds;
    if (!more) {
      item.applied_seconds = wanted_seconds();
      item.applied_at_s = item.begun_at_s;
    }
    run.ours = co_await save(item);
    if (run.ours && !more) co_return kSoonestLook;
    co_await keep_pace(run, page.rows);
  }
  co_return kAfterFailure;
}

Task<> RetentionPass::keep_pace(Run& run, std::size_t calls) {
  auto ticket = wanted_.ticket();
  if (calls > 0 && run.pace == Pace::kBounded && !stopped_) {
    std::chrono::milliseconds time(1000 * calls / writes_a_second_);
    co_await wanted_.wait(ticket, time);
  }
  auto now_s = clock_.now_s();
  if (!run.ours || stopped_ || now_s < run.item.claimed_until_s - kClaimSeconds / 2) co_return;
  run.item.claimed_until_s = now_s + kClaimSeconds;
  run.ours = co_await save(run.item);
}

Task<> RetentionPass::settle(const ConversationItem& item, Run& run) {
  looked_at_.Increment();
  const auto& conversation = item.conversation;
  auto now_s = clock_.now_s();
  bool removal_is_right = item.removal_s == conversation_removal_s(conversation);
  constexpr std::size_t kCalls = 3;
  try {
    if (conversation.expired(now_s)) {
      if (removal_is_right) co_return;
      co_await remove(conversation);
    } else {
      if (removal_is_right && !Renewer::is_due(item, now_s)) co_return;
      bool done = co_await renewer_->renew(conversation.user_id, conversation.id, &run);
      if (!done) run.busy = true;
    }
  } catch (const Error& error) {
    // Of one that is damaged the others know nothing.
    if (error.code() != ErrorCode::kInternal) throw;
    telemetry::log_error("store.retention_left_out",
                         {{"conversation_id", conversation.id.to_string()},
                          {"error", error.message()},
                          {"detail", error.detail()}});
  }
  co_await keep_pace(run, kCalls);
}

// First the promise that its messages go, as any deletion. It stays where the conversation does:
// the purger drops it, unless another deletion has come.
Task<> RetentionPass::remove(const Conversation& read) {
  // It was read a while ago.
  auto found = co_await rows_->conversation(read.user_id, read.id);
  if (!found || !found->conversation.expired(clock_.now_s())) co_return;
  const auto& conversation = found->conversation;
  co_await rows_->put_purge(conversation.user_id, conversation.id, clock_.now_s());
  bool erased = co_await rows_->erase_unchanged(conversation);
  if (!erased) co_return;
  if (!found->idempotency.empty()) co_await rows_->mark_deleted(found->idempotency);
  expired_.Increment();
  if (on_expired_) on_expired_(conversation.user_id, conversation.id);
  purger_->wake();
}

}  // namespace colloquy::store::dynamodb
