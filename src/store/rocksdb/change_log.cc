#include "store/rocksdb/change_log.h"

#include <rocksdb/write_batch.h>

#include <memory>
#include <utility>

#include "base/error.h"
#include "store/rocksdb/keys.h"
#include "store/rocksdb/status.h"
#include "store/rocksdb/value_codec.h"

namespace colloquy::store::change_log {
namespace {

constexpr std::size_t kTimeBytes = 8;
constexpr std::size_t kIdBytes = 16;
constexpr std::uint32_t kDroppedAtOnce = 10'000;

rocksdb::Slice slice(std::string_view view) { return {view.data(), view.size()}; }

void write(Database& database, rocksdb::WriteBatch& batch) {
  rocksdb::WriteOptions durable;
  durable.sync = true;
  check(database.db().Write(durable, &batch), "writing of the sequence of changes");
}

// Empty where it is not there.
std::string read(Database& database, std::string_view key) {
  std::string value;
  auto status = database.db().Get(rocksdb::ReadOptions(), database.derived(), slice(key), &value);
  if (status.IsNotFound()) return {};
  check(status, "reading of the sequence of changes");
  return value;
}

std::string_view take(std::string_view& from, std::size_t bytes) {
  if (from.size() < bytes) throw internal_error("a row of changes is garbled");
  auto taken = from.substr(0, bytes);
  from.remove_prefix(bytes);
  return taken;
}

std::uint64_t take_number(std::string_view& from, std::size_t bytes) {
  std::uint64_t number = 0;
  for (char c : take(from, bytes)) number = number << 8 | static_cast<unsigned char>(c);
  return number;
}

}  // namespace

void append(std::string& changes, std::string_view conversation_key, const MessageId& message) {
  changes.push_back(static_cast<char>(conversation_key.size() >> 8));
  changes.push_back(static_cast<char>(conversation_key.size()));
  changes.append(conversation_key);
  changes.append(message.raw());
}

std::string encode(std::int64_t at_ms, std::string_view changes) {
  std::string out(1, static_cast<char>(kValueVersion));
  auto time = static_cast<std::uint64_t>(at_ms);
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(time >> shift));
  out.append(changes);
  return out;
}

ChangeSet decode(std::uint64_t number, std::string_view value) {
  if (take_number(value, 1) != kValueVersion) throw internal_error("a row of changes is newer");
  ChangeSet set;
  set.number = number;
  set.at_ms = static_cast<std::int64_t>(take_number(value, kTimeBytes));
  while (!value.empty()) {
    auto key = keys::parse_conversation(take(value, take_number(value, 2)));
    if (!key) throw internal_error("a row of changes is garbled");
    auto message = Uuid::from_bytes(take(value, kIdBytes));
    set.changes.push_back({std::move(key->user), key->id, MessageId(*message)});
  }
  return set;
}

Uuid begin(Database& database, Uuid fresh) {
  if (!database.keeps_changes()) {
    drop(database);
    return fresh;
  }
  auto known = Uuid::from_bytes(read(database, keys::kChangeSequence));
  auto counters = read(database, keys::kCounters);
  if (known && read(database, keys::kChangesKept) == counters) return *known;
  rocksdb::WriteBatch batch;
  batch.Put(database.derived(), slice(keys::kChangeSequence), slice(fresh.raw()));
  batch.Put(database.derived(), slice(keys::kChangesKept), counters);
  write(database, batch);
  return fresh;
}

void drop(Database& database) {
  // First of all the name: without it, what is left of the rows says nothing.
  for (auto key : {keys::kChangeSequence, keys::kChangesKept, keys::kChangesForgotten}) {
    if (read(database, key).empty()) continue;
    rocksdb::WriteBatch batch;
    batch.Delete(database.derived(), slice(key));
    write(database, batch);
  }
  const auto end = keys::after_prefix(std::string(keys::kChangesPrefix));
  const rocksdb::Slice upper(end);
  rocksdb::ReadOptions options;
  options.iterate_upper_bound = &upper;
  options.fill_cache = false;
  std::unique_ptr<rocksdb::Iterator> at(database.db().NewIterator(options, database.derived()));
  at->Seek(slice(keys::kChangesPrefix));
  while (at->Valid()) {
    // Key by key: a backup of the log holds puts and deletions of single keys, and nothing else.
    rocksdb::WriteBatch batch;
    for (; at->Valid() && batch.Count() < kDroppedAtOnce; at->Next()) {
      batch.Delete(database.derived(), at->key());
    }
    write(database, batch);
  }
  check(at->status(), "reading changes");
}

}  // namespace colloquy::store::change_log
