#include "store/rocksdb/erase_operations.h"

#include <rocksdb/iterator.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "base/error.h"
#include "base/sha256.h"
#include "base/text.h"
#include "store/rocksdb/keys.h"
#include "store/rocksdb/status.h"

namespace colloquy::store {
namespace {

constexpr std::size_t kConversationsAtOnce = 256;

std::string erasing_key(const UserId& user) {
  return std::string(keys::kErasingPrefix) + user.value();
}

std::string erased_key(const UserId& user) {
  std::string key(keys::kErasedPrefix);
  key.append(bytes_of(sha256({user.value()})));
  return key;
}

std::string encoded(std::int64_t time_ms) {
  std::string value;
  encode_format(static_cast<std::uint64_t>(time_ms), value);
  return value;
}

std::int64_t decoded(std::string_view value) {
  return static_cast<std::int64_t>(decode_format(value));
}

// False where the record is damaged: then its key is all that is needed of it.
template <class Read>
bool is_readable(Read read) {
  try {
    read();
    return true;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInternal) throw;
    return false;
  }
}

// Of whatever generation.
std::vector<std::string> details_of(const Database& database, const ConversationId& id) {
  auto prefix = keys::details(id, 0);
  prefix.resize(prefix.size() - sizeof(std::uint64_t));
  return keys_with(database, database.derived(), prefix, std::numeric_limits<std::size_t>::max());
}

}  // namespace

void BeginErasure::apply(WriteGroup& group) {
  if (!group.find_derived(erasing_key(user_))) group.put_derived(erasing_key(user_), encoded(0));
  set_result(true);
}

void EraseConversations::apply(WriteGroup& group) {
  // Reading may throw, so all of it comes before the first change.
  std::vector<std::string> damaged;
  std::vector<std::string> details;
  for (auto& key : keys_) {
    if (is_readable([&] { group.find_even_expired(key); })) continue;
    auto parsed = keys::parse_conversation(key);
    for (auto& row : parsed ? details_of(database_, parsed->id) : std::vector<std::string>()) {
      details.push_back(std::move(row));
    }
    damaged.push_back(key);
  }
  for (const auto& key : keys_) {
    if (std::find(damaged.begin(), damaged.end(), key) != damaged.end()) continue;
    if (auto* entry = group.find_even_expired(key)) group.remove_conversation(*entry);
  }
  for (const auto& key : damaged) group.remove_damaged_conversation(key);
  for (const auto& row : details) group.remove_derived(row);
  set_result(true);
}

void EraseIdempotency::apply(WriteGroup& group) {
  std::vector<std::optional<IdempotencyRecord>> records(keys_.size());
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    is_readable([&] { records[i] = group.find_idempotency_even_expired(keys_[i]); });
  }
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    group.remove_idempotency(keys_[i]);
    // Of one that cannot be read, the sweep takes this when it is due.
    if (!records[i]) continue;
    group.remove_derived(keys::idempotency_expiry(records[i]->expires_at_s, keys_[i]));
  }
  set_result(true);
}

void EraseMessages::apply(WriteGroup& group) {
  for (const auto& piece : pieces_) {
    for (const auto& key : piece.keys) {
      if (auto id = keys::parse_message(key)) group.remove_message(piece.conversation, *id);
    }
    if (piece.last) group.forget_purge(piece.conversation);
  }
  set_result(true);
}

void SealErasure::apply(WriteGroup& group) {
  auto there = group.find_derived(erasing_key(user_));
  if (!there) throw unavailable("The user is not being erased any more.");
  auto at_ms = decoded(*there);
  if (at_ms == 0) {
    at_ms = group.counters().last_commit_ms;
    group.put_derived(erasing_key(user_), encoded(at_ms));
  }
  set_result(at_ms);
}

void EndErasure::apply(WriteGroup& group) {
  group.put_derived(erased_key(user_), encoded(at_ms_));
  group.remove_derived(erasing_key(user_));
  set_result(true);
}

void add_erased(WriteGroup& group, const ErasedUser& erased) {
  auto name = from_hex(erased.user_sha256);
  if (!name) throw internal_error("no name of an erased user");
  const auto key = std::string(keys::kErasedPrefix) + *name;
  const auto there = group.find_derived(key);
  if (!there || decoded(*there) < erased.at_ms) group.put_derived(key, encoded(erased.at_ms));
}

std::vector<std::string> keys_with(const Database& database, rocksdb::ColumnFamilyHandle* family,
                                   const std::string& prefix, std::size_t limit,
                                   const std::string& begin) {
  const auto end = keys::after_prefix(prefix);
  rocksdb::ReadOptions options;
  rocksdb::Slice upper(end);
  if (!end.empty()) options.iterate_upper_bound = &upper;
  options.fill_cache = false;
  std::unique_ptr<rocksdb::Iterator> at(database.db().NewIterator(options, family));
  std::vector<std::string> found;
  for (at->Seek(std::max(prefix, begin)); at->Valid() && found.size() < limit; at->Next()) {
    found.push_back(at->key().ToString());
  }
  check(at->status(), "erasing");
  return found;
}

std::vector<std::string> still_there(const Database& database, rocksdb::ColumnFamilyHandle* family,
                                     std::vector<std::string> keys) {
  std::string value;
  std::erase_if(keys, [&](const std::string& key) {
    auto status = database.db().Get(rocksdb::ReadOptions(), family, key, &value);
    if (!status.IsNotFound()) check(status, "erasing");
    return status.IsNotFound();
  });
  return keys;
}

Purges purges_of(const Database& database, const UserId& user) {
  const std::string prefix(keys::kPurgePrefix);
  const auto end = keys::after_prefix(prefix);
  rocksdb::ReadOptions options;
  const rocksdb::Slice upper(end);
  options.iterate_upper_bound = &upper;
  options.fill_cache = false;
  std::unique_ptr<rocksdb::Iterator> at(database.db().NewIterator(options, database.derived()));
  Purges found;
  for (at->Seek(prefix); at->Valid(); at->Next()) {
    if (!keys::parse_purge(at->key().ToStringView())) continue;
    const auto whose = at->value().ToStringView();
    if (whose == user.value()) found.theirs.push_back(at->key().ToString());
    if (whose.empty()) found.anybodys.push_back(at->key().ToString());
  }
  check(at->status(), "erasing");
  return found;
}

std::vector<DeletedMessages> next_messages(const Database& database, Purges& purges,
                                           std::size_t limit) {
  std::vector<DeletedMessages> pieces;
  while (limit > 0 && pieces.size() < kConversationsAtOnce && !purges.theirs.empty()) {
    auto& piece = pieces.emplace_back();
    piece.conversation = keys::parse_purge(purges.theirs.back()).value();
    piece.keys =
        keys_with(database, database.messages(), std::string(piece.conversation.raw()), limit);
    piece.last = piece.keys.size() < limit;
    limit -= piece.keys.size();
    if (piece.last) purges.theirs.pop_back();
  }
  return pieces;
}

bool is_erasing(const Database& database, const UserId& user) {
  std::string value;
  auto status =
      database.db().Get(rocksdb::ReadOptions(), database.derived(), erasing_key(user), &value);
  if (!status.IsNotFound()) check(status, "erasing");
  return status.ok();
}

std::vector<UserId> erasing_users(const Database& database) {
  std::vector<UserId> users;
  const std::string prefix(keys::kErasingPrefix);
  for (auto& key : keys_with(database, database.derived(), prefix, 10'000)) {
    users.emplace_back(key.substr(prefix.size()));
  }
  return users;
}

std::vector<ErasedUser> erased_users(const Database& database, const std::string& after,
                                     std::size_t limit) {
  const std::string prefix(keys::kErasedPrefix);
  std::string begin = prefix;
  if (auto bytes = from_hex(after); bytes && !bytes->empty()) begin += *bytes + '\0';
  std::vector<ErasedUser> users;
  std::string value;
  for (auto& key : keys_with(database, database.derived(), prefix, limit, begin)) {
    check(database.db().Get(rocksdb::ReadOptions(), database.derived(), key, &value), "reading");
    users.push_back({to_hex(key.substr(prefix.size())), decoded(value)});
  }
  return users;
}

}  // namespace colloquy::store
