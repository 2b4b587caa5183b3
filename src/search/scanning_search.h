// Search without an index, over what a store can list at a bounded cost: within a conversation its
// title and the newest kMessages messages, else the titles of the user's newest kConversations
// conversations. Whatever else there may be is not looked at, and the page says so (`complete`).
#pragma once

#include <cstddef>
#include <vector>

#include "base/clock.h"
#include "base/user_slots.h"
#include "search/query_pool.h"
#include "search/search.h"
#include "store/store.h"
#include "telemetry/metrics.h"

namespace colloquy::search {

class ScanningSearch final : public Search {
 public:
  static constexpr std::size_t kConversations = 1000;
  static constexpr std::size_t kMessages = 1000;
  // Of messages' contents, and what the page at which it was reached holds.
  static constexpr std::size_t kBytes = 16 * limits::kMiB;
  // Past it kUnavailable, and of one user kThrottled.
  static constexpr std::size_t kAtOnce = 8;
  static constexpr std::size_t kAtOnceOfAUser = 2;

  // Both outlive it.
  ScanningSearch(store::Store& store, const Clock& clock, telemetry::Metrics& metrics);

  Task<Page> find(Request request) override;

 private:
  struct Sources {
    std::vector<Hit> hits;  // not yet looked into
    bool complete = true;
  };
  Task<Sources> read_titles(UserId user, Deadline deadline);
  Task<Sources> read_conversation(UserId user, ConversationId id, Deadline deadline);

  store::Store& store_;
  const Clock& clock_;
  telemetry::Histogram& seconds_;
  UserSlots slots_;
  QueryPool pool_;
};

}  // namespace colloquy::search
