#include "store/dynamodb/restored_rows.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/error.h"
#include "base/limits.h"
#include "store/dynamodb/parts_records.h"
#include "store/dynamodb/refusals.h"
#include "store/dynamodb/request.h"

namespace colloquy::store::dynamodb {
namespace {

constexpr std::int64_t kAtOnce = 100;
constexpr std::int64_t kClaimSeconds = 60;

std::optional<std::int64_t> noted_retention(const std::optional<RetentionItem>& item) {
  if (!item || item->target_seconds <= 0) return std::nullopt;
  return item->target_seconds;
}

Task<std::map<std::string, std::int64_t>> listed(const Rows& of) {
  auto rows = of;
  std::map<std::string, std::int64_t> all;
  std::string after;
  for (;;) {
    auto page = co_await rows.erased_users(after);
    if (page.empty()) break;
    for (const auto& erased : page) all[erased.user_sha256] = erased.at_ms;
    after = page.back().user_sha256;
  }
  co_return all;
}

}  // namespace

RestoredRows::RestoredRows(Client& client, TableRestore restore, RestoredRowsOptions options,
                           const Clock& clock, IdSource& ids, telemetry::Metrics& metrics,
                           RestoreTold told)
    : client_(client),
      restore_(std::move(restore)),
      options_(std::move(options)),
      clock_(clock),
      ids_(ids),
      metrics_(metrics),
      told_(std::move(told)),
      old_(client, restore_.from) {}

bool RestoredRows::left_out(const UserId& user) const {
  auto found = erased_.find(erased_name(user));
  return found != erased_.end() && found->second > restore_.at_s * 1000;
}

bool RestoredRows::has_expired_since(const Conversation& conversation) const {
  if (conversation.expired(restore_.at_s)) return false;
  auto by_now = conversation;
  by_now.retention_seconds = retention_now_;
  const auto now_s = clock_.now_s();
  return conversation.expired(now_s) || by_now.expired(now_s);
}

Task<> RestoredRows::save() {
  auto before = std::exchange(record_.stamp, ids_.next(clock_.now_ms()).to_string());
  bool saved = co_await replace_restore_record(client_, restore_.to, record_, before);
  if (!saved) {
    throw Error(ErrorCode::kConflict, "Another restore into " + restore_.to.messages + " goes on.");
  }
}

Task<bool> RestoredRows::begin() {
  record_ = co_await read_restore_record(client_, restore_.to, restore_.at_s);
  if (record_.done) co_return false;
  if (record_.at_s != 0 && record_.keep_expired != options_.keep_expired) {
    throw Error(ErrorCode::kConflict,
                std::string("This restore was begun ") +
                    (record_.keep_expired ? "with" : "without") +
                    " --keep-expired: go on with it as it was begun, or delete the new tables.");
  }
  record_.at_s = restore_.at_s;
  record_.keep_expired = options_.keep_expired;
  co_await save();
  Rows restored(client_, restore_.to);
  auto noted_then = co_await restored.retention();
  auto noted_now = co_await old_.retention();
  auto retention_then = noted_retention(noted_then);
  retention_now_ = noted_retention(noted_now);
  if (options_.retention_seconds) {
    retention_now_ = options_.retention_seconds;
    if (!retention_then) retention_then = options_.retention_seconds;
  }
  rows_ = std::make_shared<Rows>(client_, restore_.to, retention_then);
  renewer_ = std::make_unique<Renewer>(rows_, clock_, metrics_);
  co_return true;
}

Task<> RestoredRows::list_erased_users() {
  erased_ = co_await listed(old_);
  auto note = [this](const std::string& name, std::int64_t at_ms) {
    auto& last = erased_[name];
    last = std::max(last, at_ms);
  };
  for (const auto& erased : options_.erased) note(erased.user_sha256, erased.at_ms);
  // Those whose erasure goes on in the old tables: what they had is gone, or is about to be.
  auto unfinished = co_await old_.erasures();
  for (const auto& item : unfinished) {
    note(erased_name(item.user_id), std::max(item.begun_at_ms, item.sealed_at_ms));
  }
  auto there = co_await listed(*rows_);
  for (const auto& [name, at_ms] : erased_) {
    auto found = there.find(name);
    if (found != there.end() && found->second >= at_ms) continue;
    ErasedUser erased{name, at_ms};
    co_await rows_->note_erased(std::move(erased));
  }
}

Task<> RestoredRows::amend() {
  co_await list_erased_users();
  for (;;) {
    auto leave_out = static_cast<std::uint64_t>(
        std::count_if(erased_.begin(), erased_.end(),
                      [this](const auto& erased) { return erased.second > restore_.at_s * 1000; }));
    // Who was erased while the restore went on may have been passed already.
    bool more = leave_out > record_.erased_users;
    if (record_.looked_through && !more) break;
    if (record_.position.empty() || record_.looked_through) {
      record_.erased_users = leave_out;
      record_.position.clear();
      record_.looked_through = false;
      record_.conversations = 0;
    }
    co_await look_through();
    co_await list_erased_users();
  }
  co_await remove_messages();
}

Task<> RestoredRows::look_through() {
  bool more = true;
  while (more) {
    auto page = co_await rows_->all_conversations(record_.position, kAtOnce);
    for (auto& item : page.items) co_await look_at(std::move(item));
    record_.position = std::move(page.next);
    more = !record_.position.empty();
    record_.looked_through = !more;
    co_await save();
    if (told_.waiting) {
      told_.waiting("looking at what was restored: " + std::to_string(record_.conversations) +
                    " conversations");
    }
  }
}

Task<> RestoredRows::look_at(ConversationItem item) {
  const auto& conversation = item.conversation;
  if (left_out(conversation.user_id)) {
    co_await leave_out(item);
    co_return;
  }
  ++record_.conversations;
  if (has_expired_since(conversation)) {
    if (options_.keep_expired) co_await keep(std::move(item));
    co_return;
  }
  if (conversation.expired(clock_.now_s())) co_return;
  // A renewal that its last activity made due may have been under way at that second: the service
  // must not remove its messages before it.
  if (Renewer::is_due(item, conversation.updated_at_s)) {
    co_await renewer_->renew(conversation.user_id, conversation.id);
  }
}

// As a deletion: first the promise that its messages go.
Task<> RestoredRows::leave_out(const ConversationItem& item) {
  const auto& conversation = item.conversation;
  co_await rows_->put_purge(conversation.user_id, conversation.id, clock_.now_s(), kClaimSeconds);
  co_await rows_->erase_conversation(conversation.user_id, conversation.id, std::nullopt);
  if (!item.idempotency.empty()) co_await rows_->erase_keyed(item.idempotency);
  ++record_.left_out;
}

Task<> RestoredRows::keep(ConversationItem item) {
  auto before = item.conversation;
  auto& after = item.conversation;
  after.ttl_seconds = limits::kTtlSecondsMax;
  after.temporary = false;
  ++after.version;
  item.mark_removals_pending();
  co_await rows_->put_purge(before.user_id, before.id, clock_.now_s());
  auto change = ids_.next(clock_.now_ms()).to_string();
  bool replaced = co_await rows_->replace_conversation(item, before, change);
  if (!replaced) throw unavailable("A server is at the new tables already: stop it first.");
  ++record_.kept;
  co_await renewer_->renew(before.user_id, before.id);
}

// Those of conversations that were deleted before, too: the user was erased.
Task<> RestoredRows::remove_messages() {
  PartsRecords parts(client_, restore_.to);
  const std::function<bool(const UserId&)> whose = [this](const UserId& u) { return left_out(u); };
  co_await parts.erase_of(whose);
  for (std::size_t shard = 0; shard < kPurgeShards; ++shard) {
    std::optional<ConversationId> after;
    bool more = true;
    while (more) {
      auto page = co_await rows_->purges(shard, after);
      for (auto& item : page.items) {
        after = item.conversation_id;
        if (left_out(item.user_id)) co_await remove_messages(std::move(item));
      }
      more = page.more && !page.items.empty();
    }
  }
}

Task<> RestoredRows::remove_messages(PurgeItem item) {
  std::size_t removed = 0;
  for (;;) {
    auto erased = co_await rows_->erase_some_messages(item.conversation_id, Rows::Keys::kErased);
    if (erased == 0) break;
    removed += erased;
    if (told_.waiting) {
      told_.waiting("leaving out erased users: " + std::to_string(removed) +
                    " messages of a conversation");
    }
  }
  co_await rows_->erase_purge(std::move(item));
}

Task<RestoreRecord> RestoredRows::end() {
  record_.done = true;
  co_await save();
  co_return record_;
}

}  // namespace colloquy::store::dynamodb
