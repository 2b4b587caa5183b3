#include "store/rocksdb/conversation_cache.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace colloquy::store {
namespace {

// With the capacity this bounds the memory of the cache.
constexpr std::size_t kLargeBytes = 16 * limits::kKiB;

void note_large(ConversationCache::Entry& entry, std::vector<ConversationCache::Entry*>& large) {
  if (details_bytes(entry.record.conversation) > kLargeBytes) large.push_back(&entry);
}

}  // namespace

ConversationCache::Entry* ConversationCache::find(std::string_view key) {
  auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return &*found->second;
}

ConversationCache::Entry& ConversationCache::insert(std::string key, ConversationRecord record,
                                                    bool present) {
  entries_.push_front({std::move(key), std::move(record), present, false});
  by_key_.emplace(entries_.front().key, entries_.begin());
  inserted_.push_back(&entries_.front());
  return entries_.front();
}

void ConversationCache::mark_dirty(Entry& entry) {
  if (entry.dirty) return;
  entry.dirty = true;
  dirty_.push_back(&entry);
}

void ConversationCache::commit() {
  std::vector<Entry*> large;
  for (auto* entry : dirty_) entry->dirty = false;
  for (auto* entry : inserted_) note_large(*entry, large);
  for (auto* entry : dirty_) note_large(*entry, large);
  dirty_.clear();
  inserted_.clear();
  std::sort(large.begin(), large.end());
  large.erase(std::unique(large.begin(), large.end()), large.end());
  for (auto* entry : large) erase(by_key_.find(entry->key)->second);
  while (entries_.size() > capacity_) erase(std::prev(entries_.end()));
}

void ConversationCache::roll_back() {
  for (auto* entry : dirty_) erase(by_key_.find(entry->key)->second);
  dirty_.clear();
  inserted_.clear();
}

void ConversationCache::erase(List::iterator entry) {
  by_key_.erase(entry->key);
  entries_.erase(entry);
}

}  // namespace colloquy::store
