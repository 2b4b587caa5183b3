#include "store/rocksdb/sweeper.h"

#include <rocksdb/iterator.h>

#include <algorithm>
#include <future>
#include <limits>
#include <utility>

#include "base/text.h"
#include "store/rocksdb/keys.h"
#include "store/rocksdb/status.h"
#include "store/rocksdb/sweep_operations.h"
#include "telemetry/log.h"

namespace colloquy::store {
namespace {

constexpr std::size_t kPiece = 512;  // keys in one operation
constexpr std::size_t kPurgePiece = 64;
constexpr std::size_t kLookedAtARound = 50'000;  // conversations, to be indexed
constexpr std::size_t kDamagedNoted = 1000;
constexpr std::size_t kAnyNumber = std::numeric_limits<std::size_t>::max();

std::size_t a_round(const RocksDbOptions& options) {
  auto ms =
      static_cast<std::size_t>(std::clamp<std::int64_t>(options.sweep_interval.count(), 1, 60'000));
  return std::max<std::size_t>(1, options.removal_rate * ms / 1000);
}

}  // namespace

Sweeper::Sweeper(Database& database, Writer& writer, Clock& clock, const RocksDbOptions& options,
                 telemetry::Metrics& metrics)
    : database_(database),
      writer_(writer),
      clock_(clock),
      min_free_disk_bytes_(options.min_free_disk_bytes),
      interval_(options.sweep_interval),
      removed_a_round_(a_round(options)),
      on_expired_(options.on_expired),
      disk_gauge_(metrics.gauge("colloquy_store_disk_bytes", "Size of the store's files.")),
      expired_(metrics.counter("colloquy_store_expired_conversations_total",
                               "Conversations that were removed because they had expired.")),
      purged_(metrics.counter("colloquy_store_purged_messages_total",
                              "Messages of deleted and expired conversations that were removed.")),
      lag_(metrics.gauge("colloquy_store_expiry_lag_seconds",
                         "How long the first of the expired conversations that are still to be "
                         "removed has waited for it.")) {
  look_at_disk();
  look_at_retention();
  thread_ = std::thread([this] { run(); });
}

Sweeper::~Sweeper() {
  {
    std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Sweeper::run() {
  std::unique_lock lock(mutex_);
  while (!stopping()) {
    if (wake_.wait_for(lock, interval_, [this] { return stopping(); })) return;
    lock.unlock();
    round(removed_a_round_);
    lock.lock();
  }
}

void Sweeper::sweep_now() { round(kAnyNumber); }

void Sweeper::round(std::size_t removed_most) {
  std::scoped_lock lock(round_mutex_);
  may_remove_ = removed_most;
  may_forget_ = removed_most;
  database_.drop_more_kept_logs();
  look_at_disk();
  writer_.try_to_heal();
  if (writer_.broken()) return;
  may_index_ = removed_most;
  attempt(&Sweeper::index_some);
  attempt(&Sweeper::sweep_expired_conversations);
  attempt(&Sweeper::sweep_purges);
  attempt(&Sweeper::sweep_idempotency);
  attempt(&Sweeper::measure_lag);
}

void Sweeper::attempt(void (Sweeper::*part)()) {
  try {
    (this->*part)();
  } catch (const Error& error) {
    telemetry::log_warning("store.sweep_failed", {{"detail", error.detail()}});
  }
}

void Sweeper::note_damaged(const std::string& key) {
  if (damaged_.size() >= kDamagedNoted || !damaged_.insert(key).second) return;
  telemetry::log_error("store.damaged_record", {{"key_hex", to_hex(key)}});
}

void Sweeper::index_some() {
  if (!indexing_) return;
  index_for_retention(may_index_ == kAnyNumber ? kAnyNumber : kLookedAtARound, may_index_);
}

void Sweeper::look_at_disk() {
  disk_full_ = database_.free_disk_bytes() < min_free_disk_bytes_;
  disk_bytes_ = database_.used_disk_bytes();
  disk_gauge_.Set(static_cast<double>(disk_bytes()));
}

// Until all are indexed for it, nothing may say that they are: what is made meanwhile is indexed
// for this retention, which may be a longer one than that of the next start.
void Sweeper::look_at_retention() {
  try {
    std::string value;
    auto status = database_.db().Get(rocksdb::ReadOptions(), database_.derived(),
                                     rocksdb::Slice(keys::kRetention), &value);
    if (!status.IsNotFound()) check(status, "reading the retention");
    std::int64_t indexed = status.ok() ? static_cast<std::int64_t>(decode_format(value)) : 0;
    auto wanted = database_.retention_seconds().value_or(0);
    if (indexed == wanted) return;
    indexing_ = wanted != 0;
    if (indexed != 0) commit_operation<NoteRetention>(false);
  } catch (const Error& error) {
    telemetry::log_warning("store.sweep_failed", {{"detail", error.detail()}});
    indexing_ = database_.retention_seconds().has_value();
  }
}

void Sweeper::index_for_retention(std::size_t looked_at_most, std::size_t indexed_most) {
  std::size_t looked_at = 0;
  while (!stopping() && looked_at < looked_at_most && indexed_most > 0) {
    auto piece = std::min(kPiece, indexed_most);
    rocksdb::ReadOptions options;
    options.fill_cache = false;
    std::unique_ptr<rocksdb::Iterator> at(
        database_.db().NewIterator(options, database_.conversations()));
    std::vector<std::string> found;
    std::string behind = indexed_up_to_;
    for (at->Seek(behind); at->Valid() && looked_at < looked_at_most; at->Next()) {
      if (found.size() == piece) break;
      ++looked_at;
      if (is_to_be_indexed(*at)) found.push_back(at->key().ToString());
      behind = at->key().ToString() + '\0';
    }
    check(at->status(), "sweeping");
    bool all = !at->Valid();
    if (!found.empty()) {
      indexed_most -= found.size();
      auto done = commit_operation<IndexExpiry>(std::move(found));
      for (const auto& key : done->damaged()) note_damaged(key);
    }
    indexed_up_to_ = std::move(behind);
    if (!all) continue;
    commit_operation<NoteRetention>(true);
    indexing_ = false;
    indexed_up_to_.clear();
    return;
  }
}

bool Sweeper::is_to_be_indexed(const rocksdb::Iterator& at) {
  try {
    auto record = decode_conversation(at.value().ToStringView());
    record.conversation.retention_seconds = database_.retention_seconds();
    return needs_index(record);
  } catch (const Error&) {
    note_damaged(at.key().ToString());
    return false;
  }
}

void Sweeper::tell_expired(const std::vector<std::string>& conversation_keys) {
  expired_.Increment(static_cast<double>(conversation_keys.size()));
  if (!on_expired_) return;
  for (const auto& key : conversation_keys) {
    auto parsed = keys::parse_conversation(key);
    if (parsed) on_expired_(parsed->user, parsed->id);
  }
}

void Sweeper::measure_lag() {
  auto now_s = clock_.now_s();
  auto first = keys_between(database_.derived(), std::string(keys::kExpiryPrefix),
                            keys::timed_upper_bound(keys::kExpiryPrefix, now_s), 1);
  auto entry = first.empty() ? std::nullopt : keys::parse_timed(first.front());
  lag_.Set(entry ? static_cast<double>(now_s - entry->at_s) : 0);
}

std::vector<std::string> Sweeper::keys_between(rocksdb::ColumnFamilyHandle* family,
                                               const std::string& begin, const std::string& end,
                                               std::size_t limit) {
  rocksdb::ReadOptions options;
  rocksdb::Slice upper(end);
  options.iterate_upper_bound = &upper;
  options.fill_cache = false;
  std::unique_ptr<rocksdb::Iterator> at(database_.db().NewIterator(options, family));
  std::vector<std::string> found;
  for (at->Seek(begin); at->Valid() && found.size() < limit; at->Next()) {
    found.push_back(at->key().ToString());
  }
  check(at->status(), "sweeping");
  return found;
}

template <class Operation, class... Arguments>
std::shared_ptr<Operation> Sweeper::commit_operation(Arguments&&... arguments) {
  auto operation = std::make_shared<Operation>(std::forward<Arguments>(arguments)...);
  auto done = operation->future();
  writer_.submit(operation);
  done.get();
  return operation;
}

void Sweeper::sweep_purges() {
  std::string begin(keys::kPurgePrefix);
  const auto end = keys::after_prefix(begin);
  while (!stopping() && may_remove_ > 0) {
    auto purges = keys_between(database_.derived(), begin, end, kPurgePiece);
    for (const auto& key : purges) {
      try {
        sweep_purge(key);
      } catch (const Error& error) {
        // One that is damaged does not hold up those behind it.
        if (error.code() != ErrorCode::kInternal || writer_.broken()) throw;
        note_damaged(key);
      }
    }
    if (purges.size() < kPurgePiece) return;
    begin = purges.back() + '\0';
  }
}

void Sweeper::sweep_purge(const std::string& key) {
  auto id = keys::parse_purge(key);
  if (!id) {
    note_damaged(key);
    return;
  }
  // From where the last piece ended, so that the scan does not walk over what it has removed.
  std::string from(id->raw());
  const auto behind = keys::after_prefix(from);
  bool last = false;
  while (!last && !stopping() && may_remove_ > 0) {
    auto piece = std::min(kPiece, may_remove_);
    auto messages = keys_between(database_.messages(), from, behind, piece);
    last = messages.size() < piece;
    if (!messages.empty()) from = messages.back() + '\0';
    auto count = messages.size();
    commit_operation<PurgeMessages>(*id, std::move(messages), last);
    purged_.Increment(static_cast<double>(count));
    may_remove_ -= count;
  }
}

void Sweeper::sweep_expired_conversations() {
  std::string begin(keys::kExpiryPrefix);
  while (!stopping() && may_remove_ > 0) {
    auto piece = std::min(kPiece, may_remove_);
    auto end = keys::timed_upper_bound(keys::kExpiryPrefix, clock_.now_s());
    auto due = keys_between(database_.derived(), begin, end, piece);
    if (due.empty()) return;
    bool last = due.size() < piece;
    begin = due.back() + '\0';
    // Moving an entry of one that has been active is a write as well.
    may_remove_ -= due.size();
    auto done = commit_operation<ExpireConversations>(std::move(due));
    for (const auto& key : done->damaged()) note_damaged(key);
    tell_expired(done->deleted());
    if (last) return;
  }
}

void Sweeper::sweep_idempotency() {
  std::string begin(keys::kIdempotencyExpiryPrefix);
  while (!stopping() && may_forget_ > 0) {
    auto piece = std::min(kPiece, may_forget_);
    auto end = keys::timed_upper_bound(keys::kIdempotencyExpiryPrefix, clock_.now_s());
    auto due = keys_between(database_.derived(), begin, end, piece);
    if (due.empty()) return;
    bool last = due.size() < piece;
    begin = due.back() + '\0';
    may_forget_ -= due.size();
    auto done = commit_operation<ForgetIdempotency>(std::move(due));
    for (const auto& key : done->damaged()) note_damaged(key);
    if (last) return;
  }
}

}  // namespace colloquy::store
