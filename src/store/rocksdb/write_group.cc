#include "store/rocksdb/write_group.h"

#include <algorithm>
#include <utility>

#include "store/rocksdb/change_log.h"
#include "store/rocksdb/keys.h"
#include "store/rocksdb/status.h"

namespace colloquy::store {
namespace {

constexpr std::size_t kCachedConversations = std::size_t{8} * 1024;
// Longer ones are kept out of the conversation's record, which every message rewrites.
constexpr std::size_t kInlineDetailsBytes = 256;

}  // namespace

WriteGroup::WriteGroup(Database& database, IdSource& ids, Uuid instance)
    : database_(database), ids_(ids), instance_(instance), cache_(kCachedConversations) {
  reload();
}

void WriteGroup::reload() {
  cache_ = ConversationCache(kCachedConversations);
  counters_ = {};
  if (read(database_.derived(), keys::kCounters, scratch_)) counters_ = decode_counters(scratch_);
  committed_counters_ = counters_;
}

void WriteGroup::begin(std::int64_t now_ms) {
  batch_.Clear();
  messages_.clear();
  idempotency_.clear();
  purges_.clear();
  changes_.clear();
  counters_.last_commit_ms = std::max(counters_.last_commit_ms, now_ms);
}

bool WriteGroup::prepare() {
  for (auto* entry : cache_.dirty()) {
    if (!entry->present) {
      batch_.Delete(database_.conversations(), entry->key);
      continue;
    }
    scratch_.clear();
    encode(entry->record, scratch_);
    put(database_.conversations(), entry->key, scratch_);
  }
  if (batch_.Count() == 0) return false;
  if (!changes_.empty()) {
    // RocksDB's own numbers rise with each commit, also from one opening to the next.
    auto number = database_.db().GetLatestSequenceNumber() + 1;
    put(database_.derived(), keys::changes(number),
        change_log::encode(counters_.last_commit_ms, changes_));
  }
  scratch_.clear();
  encode(counters_, scratch_);
  put(database_.derived(), keys::kCounters, scratch_);
  if (database_.keeps_changes()) put(database_.derived(), keys::kChangesKept, scratch_);
  std::string time(8, '\0');
  auto now = static_cast<std::uint64_t>(counters_.last_commit_ms);
  for (std::size_t i = 0; i < time.size(); ++i) time[i] = static_cast<char>(now >> (56 - 8 * i));
  batch_.PutLogData(time);
  return true;
}

void WriteGroup::commit() {
  cache_.commit();
  committed_counters_ = counters_;
}

void WriteGroup::roll_back() {
  cache_.roll_back();
  counters_ = committed_counters_;
}

bool WriteGroup::read(rocksdb::ColumnFamilyHandle* family, std::string_view key,
                      std::string& value) {
  auto status = database_.db().Get(rocksdb::ReadOptions(), family, slice(key), &value);
  if (status.IsNotFound()) return false;
  check(status, "reading for a write");
  return true;
}

ConversationRecord WriteGroup::load(const std::string& key, std::string_view value) {
  auto parsed = keys::parse_conversation(key);
  auto record = decode_conversation(value);
  record.conversation.user_id = std::move(parsed->user);
  record.conversation.id = parsed->id;
  record.conversation.retention_seconds = database_.retention_seconds();
  if (record.details_generation != 0) {
    std::string details;
    if (!read(database_.derived(), keys::details(parsed->id, record.details_generation), details)) {
      throw internal_error("the details of a conversation are missing");
    }
    decode_details(details, record.conversation);
  }
  return record;
}

ConversationCache::Entry* WriteGroup::find_even_expired(const std::string& key) {
  auto* entry = cache_.find(key);
  if (entry == nullptr) {
    std::string value;
    bool present = read(database_.conversations(), key, value);
    entry = &cache_.insert(key, present ? load(key, value) : ConversationRecord{}, present);
  }
  return entry->present ? entry : nullptr;
}

ConversationCache::Entry* WriteGroup::find_conversation(const std::string& key) {
  auto* entry = find_even_expired(key);
  if (entry == nullptr || entry->record.conversation.expired(now_s())) return nullptr;
  return entry;
}

ConversationCache::Entry& WriteGroup::conversation(const std::string& key) {
  auto* entry = find_conversation(key);
  if (entry == nullptr) throw not_found();
  return *entry;
}

ConversationId WriteGroup::next_conversation_id() {
  auto id = ids_.next(counters_.last_commit_ms);
  const auto& last = counters_.last_conversation_id.uuid();
  if (id <= last) id = last.successor();
  return ConversationId(id);
}

bool WriteGroup::is_purged(const ConversationId& id) {
  auto key = keys::purge(id);
  if (auto found = purges_.find(key); found != purges_.end()) return found->second;
  return read(database_.derived(), key, scratch_);
}

void WriteGroup::forget_purge(const ConversationId& id) {
  auto key = keys::purge(id);
  remove_derived(key);
  purges_[std::move(key)] = false;
}

ConversationCache::Entry& WriteGroup::add_conversation(const std::string& key,
                                                       ConversationRecord record) {
  // One that was moved in may be older.
  counters_.last_conversation_id = std::max(counters_.last_conversation_id, record.conversation.id);
  return add_taken(key, std::move(record));
}

ConversationCache::Entry& WriteGroup::add_taken(const std::string& key, ConversationRecord record) {
  ++counters_.conversations;
  // It may be known that there is none.
  auto* known = cache_.find(key);
  auto& entry = known != nullptr ? *known : cache_.insert(key, {}, false);
  cache_.mark_dirty(entry);
  entry.record = std::move(record);
  entry.present = true;
  if (details_bytes(entry.record.conversation) != 0) write_details(entry);
  index_expiry(entry);
  note_change(entry.key);
  return entry;
}

void WriteGroup::index_expiry(ConversationCache::Entry& entry) {
  // The index holds a time that is never later than the true one: activity only moves the true one
  // on, and the sweeper looks again. So a message does not touch the index.
  auto& indexed = entry.record.expiry_indexed_at_s;
  auto expires = entry.record.conversation.expires_at_s();
  bool keep = expires && indexed != 0 && indexed <= *expires;
  if (!keep) move_expiry(entry);
}

void WriteGroup::move_expiry(ConversationCache::Entry& entry) {
  auto& indexed = entry.record.expiry_indexed_at_s;
  auto expires = entry.record.conversation.expires_at_s();
  if (indexed != 0) remove_derived(keys::expiry(indexed, entry.key));
  indexed = expires ? std::max<std::int64_t>(*expires, 1) : 0;
  if (indexed != 0) put(database_.derived(), keys::expiry(indexed, entry.key), {});
}

void WriteGroup::note_retention() {
  std::string value;
  encode_format(static_cast<std::uint64_t>(retention_seconds().value_or(0)), value);
  put(database_.derived(), keys::kRetention, value);
}

void WriteGroup::write_details(ConversationCache::Entry& entry) {
  auto& record = entry.record;
  const auto& id = record.conversation.id;
  if (record.details_generation != 0) {
    remove_derived(keys::details(id, record.details_generation));
    record.details_generation = 0;
  }
  if (details_bytes(record.conversation) <= kInlineDetailsBytes) return;
  record.details_generation = record.conversation.version;
  std::string value;
  encode_details(record.conversation, value);
  put(database_.derived(), keys::details(id, record.details_generation), value);
}

void WriteGroup::remove_conversation(ConversationCache::Entry& entry) {
  auto& record = entry.record;
  cache_.mark_dirty(entry);
  entry.present = false;
  --counters_.conversations;
  counters_.messages -= record.conversation.message_count;
  if (record.details_generation != 0) {
    remove_derived(keys::details(record.conversation.id, record.details_generation));
  }
  if (record.expiry_indexed_at_s != 0) {
    remove_derived(keys::expiry(record.expiry_indexed_at_s, entry.key));
  }
  put_purge(record.conversation.user_id, record.conversation.id);
  note_change(entry.key);
}

void WriteGroup::remove_damaged_conversation(const std::string& key) {
  auto parsed = keys::parse_conversation(key);
  if (parsed) put_purge(parsed->user, parsed->id);
  batch_.Delete(database_.conversations(), key);
  note_change(key);
}

void WriteGroup::put_purge(const UserId& user, const ConversationId& id) {
  auto purge = keys::purge(id);
  put(database_.derived(), purge, user.value());
  purges_[std::move(purge)] = true;
}

MessageId WriteGroup::next_message_id(const MessageId& last) {
  auto id = ids_.next(counters_.last_commit_ms);
  if (id <= last.uuid()) id = last.uuid().successor();
  return MessageId(id);
}

std::optional<MessageRecord> WriteGroup::find_message(const ConversationId& conversation,
                                                      const MessageId& id) {
  auto key = keys::message(conversation, id);
  std::string value;
  std::string_view encoded;
  if (auto found = messages_.find(key); found != messages_.end()) {
    if (!found->second) return std::nullopt;
    encoded = *found->second;
  } else {
    if (!read(database_.messages(), key, value)) return std::nullopt;
    encoded = value;
  }
  auto record = decode_message(encoded);
  record.message.id = id;
  return record;
}

void WriteGroup::put_message(const ConversationId& conversation, const MessageId& id,
                             std::string_view encoded) {
  auto key = keys::message(conversation, id);
  put(database_.messages(), key, encoded);
  messages_[std::move(key)] = encoded;
}

void WriteGroup::remove_message(const ConversationId& conversation, const MessageId& id) {
  auto key = keys::message(conversation, id);
  batch_.Delete(database_.messages(), key);
  messages_[std::move(key)] = std::nullopt;
}

void WriteGroup::note_change(std::string_view key, const MessageId& message) {
  if (database_.keeps_changes()) change_log::append(changes_, key, message);
}

std::optional<IdempotencyRecord> WriteGroup::find_idempotency_even_expired(const std::string& key) {
  if (auto found = idempotency_.find(key); found != idempotency_.end()) return found->second;
  std::string value;
  if (!read(database_.derived(), key, value)) return std::nullopt;
  return decode_idempotency(value);
}

std::optional<IdempotencyRecord> WriteGroup::find_idempotency(const std::string& key) {
  auto record = find_idempotency_even_expired(key);
  if (record && record->expires_at_s <= now_s()) return std::nullopt;
  return record;
}

void WriteGroup::put_idempotency(const std::string& key, const IdempotencyRecord& record) {
  scratch_.clear();
  encode(record, scratch_);
  put(database_.derived(), key, scratch_);
  put(database_.derived(), keys::idempotency_expiry(record.expires_at_s, key), {});
  idempotency_[key] = record;
}

void WriteGroup::remove_idempotency(const std::string& key) {
  remove_derived(key);
  idempotency_[key] = std::nullopt;
}

}  // namespace colloquy::store
