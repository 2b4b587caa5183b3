// What the operations of one commit work on: the committed data, and over it what
// the operations before them in the same group have done. Collects one WriteBatch.
//
// Belongs to the writer's thread. An operation first checks (which may throw
// Error) and then changes (which does not), so that one that fails leaves nothing.
#pragma once

#include <rocksdb/write_batch.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/ids.h"
#include "store/rocksdb/conversation_cache.h"
#include "store/rocksdb/database.h"
#include "store/rocksdb/value_codec.h"

namespace colloquy::store {

class WriteGroup {
 public:
  // `instance` marks the running answers of this opening of the store.
  WriteGroup(Database& database, IdSource& ids, Uuid instance);

  // Starts a group at `now_ms`, or later if the last one was later.
  void begin(std::int64_t now_ms);
  // Completes the batch; false when there is nothing to commit.
  bool prepare();
  rocksdb::WriteBatch& batch() { return batch_; }
  void commit();
  void roll_back();
  // Forgets everything and begins from what is stored. Throws Error.
  void reload();

  std::int64_t now_s() const { return counters_.last_commit_ms / 1000; }
  const Counters& counters() const { return counters_; }
  const Uuid& instance() const { return instance_; }
  const std::optional<std::int64_t>& retention_seconds() const {
    return database_.retention_seconds();
  }
  std::size_t rows() const { return static_cast<std::size_t>(batch_.Count()); }

  // Conversations. `key` is keys::conversation.
  // nullptr when it is not there or has expired.
  ConversationCache::Entry* find_conversation(const std::string& key);
  // The same, but one that has expired is found too.
  ConversationCache::Entry* find_even_expired(const std::string& key);
  // kNotFound instead of nullptr.
  ConversationCache::Entry& conversation(const std::string& key);
  ConversationId next_conversation_id();
  // Adds a new one; its id was given by next_conversation_id, or by the store that it is moved
  // from.
  ConversationCache::Entry& add_conversation(const std::string& key, ConversationRecord record);
  // The same, of an id that is not of this store's giving.
  ConversationCache::Entry& add_taken(const std::string& key, ConversationRecord record);
  // Whether messages of a deleted conversation with this id are still to be removed.
  bool is_purged(const ConversationId& id);
  void forget_purge(const ConversationId& id);
  // To be called before each change, and `index_expiry` after one that may make it expire sooner.
  void change(ConversationCache::Entry& entry) { cache_.mark_dirty(entry); }
  void index_expiry(ConversationCache::Entry& entry);
  // Its entry in the index has come due, but it has been active since.
  void move_expiry(ConversationCache::Entry& entry);
  // All conversations have been indexed for the retention.
  void note_retention();
  // System prompt and metadata have changed.
  void write_details(ConversationCache::Entry& entry);
  void remove_conversation(ConversationCache::Entry& entry);
  // One of which find_even_expired cannot read the record: by its key alone. The counters stay as
  // they are, and what else its record names stays where it is.
  void remove_damaged_conversation(const std::string& key);

  // Messages. `encoded` stays where it is until the group has ended.
  // Greater than `last`, the greatest so far.
  MessageId next_message_id(const MessageId& last);
  std::optional<MessageRecord> find_message(const ConversationId& conversation,
                                            const MessageId& id);
  void put_message(const ConversationId& conversation, const MessageId& id,
                   std::string_view encoded);
  void remove_message(const ConversationId& conversation, const MessageId& id);
  void count_messages(std::int64_t by) { counters_.messages += static_cast<std::uint64_t>(by); }

  // Something of this conversation (a nil id) or message is about to be different, for
  // rocksdb_change_feed.h; `key` is keys::conversation.
  void note_change(std::string_view key, const MessageId& message = {});

  // Idempotency records. `key` is keys::idempotency. An expired one is not found.
  std::optional<IdempotencyRecord> find_idempotency(const std::string& key);
  std::optional<IdempotencyRecord> find_idempotency_even_expired(const std::string& key);
  void put_idempotency(const std::string& key, const IdempotencyRecord& record);
  void remove_idempotency(const std::string& key);
  // As committed. nullopt: not there.
  std::optional<std::string> find_derived(std::string_view key) {
    std::string value;
    return read(database_.derived(), key, value) ? std::optional(std::move(value)) : std::nullopt;
  }
  void put_derived(std::string_view key, std::string_view value) {
    put(database_.derived(), key, value);
  }
  void remove_derived(std::string_view key) { batch_.Delete(database_.derived(), slice(key)); }

 private:
  static rocksdb::Slice slice(std::string_view view) { return {view.data(), view.size()}; }
  void put_purge(const UserId& user, const ConversationId& id);
  // False when it is not there.
  bool read(rocksdb::ColumnFamilyHandle* family, std::string_view key, std::string& value);
  ConversationRecord load(const std::string& key, std::string_view value);
  void put(rocksdb::ColumnFamilyHandle* family, std::string_view key, std::string_view value) {
    batch_.Put(family, slice(key), slice(value));
  }

  Database& database_;
  IdSource& ids_;
  const Uuid instance_;
  rocksdb::WriteBatch batch_;
  ConversationCache cache_;
  Counters counters_;
  Counters committed_counters_;
  // Of this group; nullopt: removed.
  std::unordered_map<std::string, std::optional<std::string_view>> messages_;
  std::unordered_map<std::string, std::optional<IdempotencyRecord>> idempotency_;
  std::unordered_map<std::string, bool> purges_;  // of this group; false: removed
  std::string changes_;                           // encoded; empty where none are kept
  std::string scratch_;
};

}  // namespace colloquy::store
