// The conversations that the writer has lately touched, as they are after
// everything it has done so far, committed or about to be.
//
// Belongs to the writer's thread. Because only the writer writes, what stands here
// is never stale; what a failed commit had changed is thrown out by `roll_back`.
#pragma once

#include <cstddef>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "store/rocksdb/value_codec.h"

namespace colloquy::store {

class ConversationCache {
 public:
  struct Entry {
    std::string key;
    ConversationRecord record;
    bool present = false;  // false: there is no such conversation
    bool dirty = false;    // differs from what is committed
  };

  explicit ConversationCache(std::size_t capacity) : capacity_(capacity) {}

  // nullptr when it is not known. A pointer holds until `commit` or `roll_back`.
  Entry* find(std::string_view key);
  Entry& insert(std::string key, ConversationRecord record, bool present);
  // Says that the caller is about to change the entry.
  void mark_dirty(Entry& entry);

  const std::vector<Entry*>& dirty() const { return dirty_; }
  // What is dirty is committed now. Conversations with long details go, and so do the least
  // recently used beyond the capacity.
  void commit();
  // What is dirty is forgotten.
  void roll_back();

 private:
  using List = std::list<Entry>;
  void erase(List::iterator entry);

  std::size_t capacity_;
  List entries_;                                                 // most recently used first
  std::unordered_map<std::string_view, List::iterator> by_key_;  // keys point into entries_
  std::vector<Entry*> dirty_;
  std::vector<Entry*> inserted_;  // since the last commit or roll-back
};

}  // namespace colloquy::store
