#include "store/dynamodb/purger.h"

#include <algorithm>
#include <random>
#include <utility>

#include "base/error.h"
#include "telemetry/log.h"

namespace colloquy::store::dynamodb {
namespace {

// A record whose conversation is still there this long after has been given up by who wrote it.
constexpr std::int64_t kAbandonedSeconds = 60;

}  // namespace

Purger::Purger(std::shared_ptr<Rows> rows, const Clock& clock, std::chrono::seconds longest_turn,
               std::chrono::milliseconds interval, telemetry::Metrics& metrics)
    : rows_(std::move(rows)),
      clock_(clock),
      longest_turn_(longest_turn),
      interval_(interval),
      claim_s_(std::max<std::int64_t>(2, interval.count() / 500)),
      purged_(metrics.counter("colloquy_store_purged_messages_total",
                              "Messages of deleted conversations that were removed.")) {}

void Purger::stop() {
  stopped_ = true;
  wanted_.notify_all();
}

Task<> Purger::run(std::shared_ptr<Purger> self) {
  std::mt19937_64 random(std::random_device{}());
  while (!self->stopped_) {
    auto ticket = self->wanted_.ticket();
    try {
      co_await self->sweep();
    } catch (const Error& error) {
      telemetry::log_warning("store.purge_failed",
                             {{"error", error.message()}, {"detail", error.detail()}});
    }
    if (self->stopped_) break;
    // Not all servers at once.
    std::uniform_int_distribution<std::int64_t> spread(self->interval_.count() / 2,
                                                       self->interval_.count());
    std::chrono::milliseconds pause(spread(random));
    co_await self->wanted_.wait(ticket, pause);
  }
}

Task<> Purger::sweep(bool claimed_too) {
  for (std::size_t shard = 0; shard < kPurgeShards; ++shard) {
    std::optional<ConversationId> after;
    bool more = true;
    while (more && !stopped_) {
      auto page = co_await rows_->purges(shard, after);
      for (const auto& item : page.items) {
        co_await purge(item, claimed_too);
        after = item.conversation_id;
      }
      more = page.more && !page.items.empty();
    }
  }
}

Task<> Purger::purge(PurgeItem item, bool claimed_too) {
  auto now_s = clock_.now_s();
  if (!claimed_too) {
    if (item.claimed_until_s > now_s) co_return;
    bool ours = co_await rows_->claim_purge(item, now_s, now_s + claim_s_);
    if (!ours) co_return;
  }
  auto there = co_await rows_->conversation(item.user_id, item.conversation_id);
  if (there) {
    // Its deletion was not carried out, or is about to be.
    if (now_s > item.deleted_at_s + kAbandonedSeconds) {
      co_await rows_->erase_purge(item.conversation_id);
    }
    co_return;
  }
  bool finished = co_await erase_messages(item.conversation_id);
  if (!finished) co_return;
  auto second_look_s = item.deleted_at_s + longest_turn_.count();
  if (clock_.now_s() >= second_look_s) {
    co_await rows_->erase_purge(item.conversation_id);
  } else {
    co_await rows_->postpone_purge(item.conversation_id, second_look_s);
  }
}

// False when the program stops in between.
Task<bool> Purger::erase_messages(ConversationId id) {
  auto claimed_until_s = clock_.now_s() + claim_s_;
  while (!stopped_) {
    auto erased = co_await rows_->erase_some_messages(id);
    if (erased == 0) co_return true;
    purged_.Increment(static_cast<double>(erased));
    if (clock_.now_s() + claim_s_ / 2 > claimed_until_s) {
      claimed_until_s = clock_.now_s() + claim_s_;
      co_await rows_->postpone_purge(id, claimed_until_s);
    }
  }
  co_return false;
}

}  // namespace colloquy::store::dynamodb
