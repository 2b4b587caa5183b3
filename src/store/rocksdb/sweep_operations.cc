#include "store/rocksdb/sweep_operations.h"

#include "base/error.h"
#include "store/rocksdb/keys.h"

namespace colloquy::store {
namespace {

// `read` of each key, before the first change, since it may throw. Those whose record is damaged go
// from `keys` to `damaged`.
template <class Read>
void leave_out_damaged(std::vector<std::string>& keys, std::vector<std::string>& damaged,
                       Read read) {
  std::vector<std::string> sound;
  for (auto& key : keys) {
    try {
      read(key);
      sound.push_back(std::move(key));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kInternal) throw;
      damaged.push_back(std::move(key));
    }
  }
  keys = std::move(sound);
}

}  // namespace

void PurgeMessages::apply(WriteGroup& group) {
  for (const auto& key : message_keys_) {
    if (auto id = keys::parse_message(key)) group.remove_message(id_, *id);
  }
  if (last_) group.forget_purge(id_);
}

void ExpireConversations::apply(WriteGroup& group) {
  deleted_.clear();
  leave_out_damaged(index_keys_, damaged_, [&group](const std::string& index_key) {
    auto entry = keys::parse_timed(index_key);
    if (entry && keys::parse_conversation(entry->key)) {
      group.find_even_expired(std::string(entry->key));
    }
  });
  for (const auto& index_key : index_keys_) {
    auto due = keys::parse_timed(index_key);
    auto* entry = due && keys::parse_conversation(due->key)
                      ? group.find_even_expired(std::string(due->key))
                      : nullptr;
    if (entry == nullptr || entry->record.expiry_indexed_at_s != due->at_s) {
      group.remove_derived(index_key);
    } else if (entry->record.conversation.expired(group.now_s())) {
      deleted_.push_back(entry->key);
      group.remove_conversation(*entry);
    } else {
      group.change(*entry);
      group.move_expiry(*entry);
    }
  }
}

bool needs_index(const ConversationRecord& record) {
  auto expires = record.conversation.expires_at_s();
  return expires && (record.expiry_indexed_at_s == 0 || record.expiry_indexed_at_s > *expires);
}

void IndexExpiry::apply(WriteGroup& group) {
  leave_out_damaged(keys_, damaged_,
                    [&group](const std::string& key) { group.find_even_expired(key); });
  for (const auto& key : keys_) {
    auto* entry = group.find_even_expired(key);
    if (entry == nullptr || !needs_index(entry->record)) continue;
    group.change(*entry);
    group.index_expiry(*entry);
  }
}

void NoteRetention::apply(WriteGroup& group) {
  if (indexed_) {
    group.note_retention();
  } else {
    group.remove_derived(keys::kRetention);
  }
}

void ForgetIdempotency::apply(WriteGroup& group) {
  std::vector<bool> remove;
  leave_out_damaged(index_keys_, damaged_, [&](const std::string& index_key) {
    auto entry = keys::parse_timed(index_key);
    std::optional<IdempotencyRecord> record;
    if (entry) record = group.find_idempotency_even_expired(std::string(entry->key));
    // A key that was used again after its time has a record with a later time.
    remove.push_back(record && record->expires_at_s == entry->at_s);
  });
  for (std::size_t i = 0; i < index_keys_.size(); ++i) {
    auto entry = keys::parse_timed(index_keys_[i]);
    if (remove[i]) group.remove_idempotency(std::string(entry->key));
    group.remove_derived(index_keys_[i]);
  }
}

}  // namespace colloquy::store
