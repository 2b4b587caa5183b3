// How many messages the conversations with context settings of their own have lately wanted: so
// that they are asked for beside the conversation, and not once more after it. Only hints: a wrong
// one costs a read. Thread-safe.
#pragma once

#include <cstddef>
#include <mutex>
#include <unordered_map>

#include "base/ids.h"
#include "store/types.h"

namespace colloquy::store::dynamodb {

class RangeHints {
 public:
  RecentRange guess(const ConversationId& id, const RecentRange& usual) const {
    std::scoped_lock lock(mutex_);
    auto found = ranges_.find(id);
    return found == ranges_.end() ? usual : found->second;
  }
  void learn(const ConversationId& id, const RecentRange& range, const RecentRange& usual) {
    std::scoped_lock lock(mutex_);
    if (range == usual) {
      ranges_.erase(id);
      return;
    }
    if (ranges_.size() >= kMost) ranges_.clear();
    ranges_.insert_or_assign(id, range);
  }

 private:
  static constexpr std::size_t kMost = 20'000;
  mutable std::mutex mutex_;
  std::unordered_map<ConversationId, RecentRange> ranges_;  // guarded by mutex_
};

}  // namespace colloquy::store::dynamodb
