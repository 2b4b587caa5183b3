#include "store/rocksdb/sweep_operations.h"

#include "store/rocksdb/keys.h"

namespace colloquy::store {

void PurgeMessages::apply(WriteGroup& group) {
  for (const auto& key : message_keys_) {
    if (auto id = keys::parse_message(key)) group.remove_message(id_, *id);
  }
  if (last_) group.remove_derived(keys::purge(id_));
}

void ExpireConversations::apply(WriteGroup& group) {
  // Reading may throw, so all of it comes before the first change.
  for (const auto& index_key : index_keys_) {
    auto entry = keys::parse_timed(index_key);
    if (entry && keys::parse_conversation(entry->key)) {
      group.find_even_expired(std::string(entry->key));
    }
  }
  for (const auto& index_key : index_keys_) {
    auto due = keys::parse_timed(index_key);
    auto* entry = due && keys::parse_conversation(due->key)
                      ? group.find_even_expired(std::string(due->key))
                      : nullptr;
    if (entry == nullptr || entry->record.expiry_indexed_at_s != due->at_s) {
      group.remove_derived(index_key);
    } else if (entry->record.conversation.expired(group.now_s())) {
      group.remove_conversation(*entry);
    } else {
      group.change(*entry);
      group.move_expiry(*entry);
    }
  }
}

void ForgetIdempotency::apply(WriteGroup& group) {
  std::vector<bool> remove(index_keys_.size());
  for (std::size_t i = 0; i < index_keys_.size(); ++i) {
    auto entry = keys::parse_timed(index_keys_[i]);
    if (!entry) continue;
    auto record = group.find_idempotency_even_expired(std::string(entry->key));
    // A key that was used again after its time has a record with a later time.
    remove[i] = record && record->expires_at_s == entry->at_s;
  }
  for (std::size_t i = 0; i < index_keys_.size(); ++i) {
    auto entry = keys::parse_timed(index_keys_[i]);
    if (remove[i]) group.remove_idempotency(std::string(entry->key));
    group.remove_derived(index_keys_[i]);
  }
}

}  // namespace colloquy::store
