// Keeps the service from removing messages of a living conversation. A message of one with a time
// to live is written with its removal at twice that time from now; at most once a time to live,
// after activity, all of the conversation's messages get a new one. Where the time to live is
// changed or taken away, they get theirs changed or taken away. What a crash interrupts is done at
// the next activity. Thread-safe.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "base/clock.h"
#include "base/signal.h"
#include "base/task.h"
#include "store/dynamodb/rows.h"
#include "telemetry/metrics.h"

namespace colloquy::store::dynamodb {

class Renewer {
 public:
  Renewer(std::shared_ptr<Rows> rows, const Clock& clock, telemetry::Metrics& metrics);

  // There was activity: has it done soon, if it is time.
  void after_activity(const ConversationItem& item);

  // Until stop(). Keeps `self` for as long as it runs.
  static Task<> run(std::shared_ptr<Renewer> self);
  void stop();
  // What waits now.
  Task<> renew_waiting();

 private:
  using Place = std::pair<UserId, ConversationId>;

  static bool is_due(const ConversationItem& item, std::int64_t now_s);
  Task<> renew(UserId user, ConversationId id);
  std::optional<Place> take();

  std::shared_ptr<Rows> rows_;
  const Clock& clock_;
  telemetry::Counter& renewed_;
  Signal wanted_;
  std::atomic<bool> stopped_{false};
  std::mutex mutex_;
  std::set<Place> waiting_;  // guarded by mutex_
};

}  // namespace colloquy::store::dynamodb
