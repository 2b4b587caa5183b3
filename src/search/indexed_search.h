// Search by the index that a Feeder keeps.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/user_slots.h"
#include "search/feeder.h"
#include "search/index_reader.h"
#include "search/query_pool.h"
#include "search/search.h"
#include "search/verify.h"
#include "store/store.h"
#include "telemetry/metrics.h"

namespace colloquy::search {

class IndexedSearch final : public Search {
 public:
  // All outlive it; the folder is the index's own.
  IndexedSearch(IndexOptions options, store::Store& store, std::unique_ptr<store::ChangeFeed> feed,
                const Clock& clock, telemetry::Metrics& metrics);

  Task<Page> find(Request request) override;
  bool rebuild() override;
  bool forget(const UserId& user) override { return feeder_.forget(user); }

 private:
  static constexpr std::size_t kThreads = 2;
  struct Worker {
    std::mutex mutex;
    std::string path;                     // guarded by mutex
    std::unique_ptr<IndexReader> reader;  // likewise
  };
  struct Look {
    UserId user;
    Query query;
    std::optional<ConversationId> conversation;
    IndexPosition position;
    std::size_t limit = 0;
  };
  struct Found {
    Candidates candidates;
    bool complete = true;
  };
  Task<Found> look_up(Look look, Deadline deadline);
  Found look_up_on(Worker& worker, const Look& look, Deadline deadline);
  static void read_from(Worker& worker, const std::string& path);
  // So that the room of a file that was replaced is free.
  void close_replaced();

  store::Store& store_;
  const Clock& clock_;
  const std::chrono::milliseconds time_limit_;
  telemetry::Histogram& seconds_;
  UserSlots slots_;
  std::array<Worker, kThreads> workers_;  // each of its thread of the pool
  Feeder feeder_;                         // after those that it closes
  QueryPool pool_;                        // last: its threads use the others
};

}  // namespace colloquy::search
