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
constexpr std::size_t kPieceMost = 500;  // Rows::erase_some_messages

}  // namespace

Purger::Purger(std::shared_ptr<Rows> rows, PartsRecords parts, std::shared_ptr<Renewer> renewer,
               const Clock& clock, std::chrono::seconds longest_turn,
               std::chrono::milliseconds interval, std::size_t messages_a_second,
               telemetry::Metrics& metrics)
    : rows_(std::move(rows)),
      parts_(std::move(parts)),
      renewer_(std::move(renewer)),
      clock_(clock),
      longest_turn_(longest_turn),
      interval_(interval),
      messages_a_second_(std::max<std::size_t>(messages_a_second, 1)),
      claim_s_(
          std::max<std::int64_t>({2, interval.count() / 500,
                                  static_cast<std::int64_t>(3 * kPieceMost / messages_a_second_)})),
      purged_(metrics.counter("colloquy_store_purged_messages_total",
                              "Messages of deleted and expired conversations that were removed.")) {
}

void Purger::stop() {
  stopped_ = true;
  stopping_.notify_all();
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
  if (!stopped_) co_await parts_.sweep(clock_.now_s());
}

Task<> Purger::purge(PurgeItem item, bool claimed_too) {
  auto now_s = clock_.now_s();
  if (!claimed_too) {
    if (item.claimed_until_s > now_s) co_return;
  }
  // Who took the conversation, or was at the deletion, notices that it has lost the record.
  auto claimed = item;
  claimed.claimed_until_s = now_s + claim_s_;
  claimed.stamp.clear();
  bool ours = co_await rows_->replace_purge(std::move(item), claimed);
  if (!ours) co_return;
  item = std::move(claimed);
  bool there = co_await settle(item);
  if (there) co_return;
  bool finished = co_await erase_messages(item, claimed_too);
  if (!finished) co_return;
  auto second_look_s = item.deleted_at_s + longest_turn_.count();
  if (clock_.now_s() >= second_look_s) {
    co_await rows_->erase_purge(std::move(item));
  } else {
    co_await postpone(item, second_look_s);
  }
}

Task<bool> Purger::settle(PurgeItem item) {
  try {
    auto there = co_await rows_->conversation(item.user_id, item.conversation_id);
    if (!there) co_return false;
    if (there->removals_pending()) {
      auto user = item.user_id;
      bool done = co_await renewer_->renew(std::move(user), item.conversation_id);
      if (!done) co_return true;
    }
  } catch (const Error& error) {
    // One that is damaged is no matter of the others'.
    if (error.code() != ErrorCode::kInternal) throw;
    telemetry::log_error("store.retention_left_out",
                         {{"conversation_id", item.conversation_id.to_string()},
                          {"error", error.message()},
                          {"detail", error.detail()}});
    co_return true;
  }
  // Its deletion, or what makes them pending, may be about to come.
  if (clock_.now_s() <= item.deleted_at_s + kAbandonedSeconds) co_return true;
  co_await rows_->erase_purge(std::move(item));
  co_return true;
}

Task<bool> Purger::postpone(PurgeItem& item, std::int64_t until_s) {
  auto before = item;
  item.claimed_until_s = until_s;
  co_return co_await rows_->replace_purge(std::move(before), item);
}

// False when the program stops in between, or another server has the record.
Task<bool> Purger::erase_messages(PurgeItem& item, bool at_any_rate) {
  while (!stopped_) {
    auto erased = co_await rows_->erase_some_messages(item.conversation_id);
    if (erased == 0) co_return true;
    purged_.Increment(static_cast<double>(erased));
    if (!at_any_rate) {
      auto ticket = stopping_.ticket();
      if (stopped_) break;
      std::chrono::milliseconds time(1000 * erased / messages_a_second_);
      co_await stopping_.wait(ticket, time);
    }
    if (clock_.now_s() + claim_s_ / 2 > item.claimed_until_s) {
      bool ours = co_await postpone(item, clock_.now_s() + claim_s_);
      if (!ours) break;
    }
  }
  co_return false;
}

}  // namespace colloquy::store::dynamodb
