#include "store/rocksdb/restored_store.h"

#include <rocksdb/write_batch.h>

#include <utility>
#include <vector>

#include "store/rocksdb/change_log.h"
#include "store/rocksdb/erase_operations.h"
#include "store/rocksdb/keys.h"
#include "store/rocksdb/status.h"
#include "store/rocksdb/write_group.h"

namespace colloquy::store {
namespace {

constexpr std::size_t kAmendedAtOnce = 512;

RocksDbOptions options_for(const std::string& folder,
                           std::shared_ptr<rocksdb::FileSystem> file_system) {
  RocksDbOptions options;
  options.path = folder;
  options.block_cache_bytes = 64 * limits::kMiB;
  options.file_system = std::move(file_system);
  return options;
}

// Takes every row, and does nothing with it.
class AnyRow final : public rocksdb::WriteBatch::Handler {
 public:
  rocksdb::Status PutCF(std::uint32_t /*family*/, const rocksdb::Slice& /*key*/,
                        const rocksdb::Slice& /*value*/) override {
    return rocksdb::Status::OK();
  }
  rocksdb::Status DeleteCF(std::uint32_t /*family*/, const rocksdb::Slice& /*key*/) override {
    return rocksdb::Status::OK();
  }
  rocksdb::Status SingleDeleteCF(std::uint32_t /*family*/, const rocksdb::Slice& /*key*/) override {
    return rocksdb::Status::OK();
  }
  rocksdb::Status DeleteRangeCF(std::uint32_t /*family*/, const rocksdb::Slice& /*begin*/,
                                const rocksdb::Slice& /*end*/) override {
    return rocksdb::Status::OK();
  }
  void LogData(const rocksdb::Slice& /*blob*/) override {}
};

}  // namespace

void require_applicable(const Commit& commit) {
  AnyRow any;
  rocksdb::WriteBatch batch(commit.batch);
  check(batch.Iterate(&any), "reading a commit");
  if (static_cast<std::uint32_t>(batch.Count()) == commit.rows) return;
  throw internal_error("a commit has not the rows that it says");
}

RestoredStore::RestoredStore(const std::string& folder, const Clock& clock, IdSource& ids,
                             std::shared_ptr<rocksdb::FileSystem> file_system)
    : database_(options_for(folder, std::move(file_system))), clock_(clock), ids_(ids) {}

void RestoredStore::apply(const Commit& commit) {
  rocksdb::WriteBatch batch(commit.batch);
  rocksdb::WriteOptions options;
  options.disableWAL = true;  // `finish` writes it out, and before that nobody may have it
  check(database_.db().Write(options, &batch), "applying a commit");
}

RestoredStore::Contents RestoredStore::contents() const {
  std::string value;
  auto status = database_.db().Get(rocksdb::ReadOptions(), database_.derived(),
                                   rocksdb::Slice(keys::kCounters), &value);
  if (status.IsNotFound()) return {};
  check(status, "reading the counters");
  auto counters = decode_counters(value);
  return {counters.conversations, counters.messages, counters.last_commit_ms};
}

std::vector<std::string> RestoredStore::titles_of(const UserId& user) const {
  std::vector<std::string> titles;
  const auto prefix = keys::user_prefix(user);
  std::unique_ptr<rocksdb::Iterator> at(
      database_.db().NewIterator(rocksdb::ReadOptions(), database_.conversations()));
  for (at->Seek(prefix); at->Valid() && at->key().starts_with(prefix); at->Next()) {
    titles.push_back(decode_conversation(at->value().ToStringView()).conversation.title);
  }
  check(at->status(), "reading a user's conversations");
  return titles;
}

std::optional<std::int64_t> RestoredStore::indexed_retention() const {
  std::string value;
  auto status = database_.db().Get(rocksdb::ReadOptions(), database_.derived(),
                                   rocksdb::Slice(keys::kRetention), &value);
  if (status.IsNotFound()) return std::nullopt;
  check(status, "reading the retention");
  auto seconds = static_cast<std::int64_t>(decode_format(value));
  if (seconds == 0) return std::nullopt;
  return seconds;
}

void RestoredStore::amend(const Amendments& amendments) {
  auto retention = amendments.retention_seconds;
  if (!retention) retention = indexed_retention();
  if (retention == 0) retention.reset();
  WriteGroup group(database_, ids_, ids_.next(clock_.now_ms()));
  const auto now_s = clock_.now_s();
  std::size_t changed = 0;
  auto commit = [&] {
    rocksdb::WriteOptions durable;
    durable.sync = true;
    if (group.prepare()) {
      check(database_.db().Write(durable, &group.batch()), "amending what was restored");
    }
    group.commit();
    group.begin(0);
    changed = 0;
  };
  group.begin(0);  // no commit of the server's: the last commit's time stays
  std::unique_ptr<rocksdb::Iterator> at(
      database_.db().NewIterator(rocksdb::ReadOptions(), database_.conversations()));
  for (at->SeekToFirst(); at->Valid(); at->Next()) {
    auto key = at->key().ToString();
    auto parsed = keys::parse_conversation(key);
    if (!parsed) throw internal_error("a conversation's key is garbled");
    auto* entry = group.find_even_expired(key);
    if (entry == nullptr) continue;
    auto& conversation = entry->record.conversation;
    conversation.retention_seconds = retention;
    const auto& since = amendments.keep_expired_since_s;
    if (amendments.leave_out && amendments.leave_out(parsed->user)) {
      group.remove_conversation(*entry);
    } else if (since && conversation.expired(now_s) && !conversation.expired(*since)) {
      group.change(*entry);
      conversation.ttl_seconds.reset();
      if (retention) conversation.ttl_seconds = limits::kTtlSecondsMax;
      conversation.temporary = false;
      group.index_expiry(*entry);
    } else {
      continue;
    }
    if (++changed >= kAmendedAtOnce) commit();
  }
  check(at->status(), "reading what was restored");
  if (amendments.leave_out) {
    const std::string prefix = keys::idempotency_prefix();
    std::unique_ptr<rocksdb::Iterator> record(
        database_.db().NewIterator(rocksdb::ReadOptions(), database_.derived()));
    for (record->Seek(prefix); record->Valid() && record->key().starts_with(prefix);
         record->Next()) {
      auto key = record->key().ToString();
      auto user = keys::parse_idempotency_user(key);
      if (!user || !amendments.leave_out(*user)) continue;
      auto found = group.find_idempotency_even_expired(key);
      if (!found) continue;
      group.remove_idempotency(key);
      group.remove_derived(keys::idempotency_expiry(found->expires_at_s, key));
      if (++changed >= kAmendedAtOnce) commit();
    }
    check(record->status(), "reading what was restored");
  }
  for (const auto& erased : amendments.erased) {
    add_erased(group, erased);
    if (++changed >= kAmendedAtOnce) commit();
  }
  commit();
}

RestoredStore::Contents RestoredStore::finish(const Amendments& amendments) {
  auto restored = contents();
  if (amendments.keep_expired_since_s || amendments.leave_out || !amendments.erased.empty()) {
    amend(amendments);
    auto last_commit_ms = restored.last_commit_ms;
    restored = contents();
    restored.last_commit_ms = last_commit_ms;
  }
  // An index that followed the store must not take this one for it.
  change_log::drop(database_);
  database_.set_lineage(ids_.next(clock_.now_ms()));
  auto& database = database_.db();
  const std::vector<rocksdb::ColumnFamilyHandle*> families{
      database_.conversations(), database_.messages(), database_.derived()};
  for (auto* family : families) {
    check(database.Flush(rocksdb::FlushOptions(), family), "writing out what was restored");
  }
  return restored;
}

}  // namespace colloquy::store
