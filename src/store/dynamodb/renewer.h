// Keeps the service from removing messages of a living conversation. A message of one with a
// lifetime (its own time to live, or the server's retention) is written with its removal at twice
// that time from now; at most once a lifetime, after activity, all of the conversation's messages
// get a new one. What a crash interrupts of this is done at the next activity.
//
// Where the lifetime is changed or taken away, they get theirs changed or taken away, and the
// conversation last: were it removed before, nobody would know of them. Whatever crashes, a record
// says that this is to be done (purger.h). Thread-safe.
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

  // Whether its removal times, or those of its messages, are not as they should be by now.
  static bool is_due(const ConversationItem& item, std::int64_t now_s);
  // Told of writes as they are made; may take its time over it.
  class Progress {
   public:
    virtual ~Progress() = default;
    virtual Task<> wrote(std::size_t writes) = 0;
  };
  // Sets those of a conversation and its messages now. False when that is not done: another server
  // is at it, its time to live has changed meanwhile, or the program stops.
  Task<bool> renew(UserId user, ConversationId id, Progress* progress = nullptr);

  // Until stop(). Keeps `self` for as long as it runs.
  static Task<> run(std::shared_ptr<Renewer> self);
  void stop();
  // What waits now.
  Task<> renew_waiting();

 private:
  using Place = std::pair<UserId, ConversationId>;

  std::optional<Place> take();
  Task<bool> renew_claimed(UserId user, ConversationId id, std::int64_t& claimed_until_s,
                           Progress* progress);
  // Of the messages; false when the claim is lost, or the program stops.
  Task<bool> set_removals(const Conversation& conversation, std::optional<std::int64_t> ttl,
                          std::int64_t& claimed_until_s, Progress* progress);

  std::shared_ptr<Rows> rows_;
  const Clock& clock_;
  telemetry::Counter& renewed_;
  Signal wanted_;
  std::atomic<bool> stopped_{false};
  std::mutex mutex_;
  std::set<Place> waiting_;  // guarded by mutex_
};

}  // namespace colloquy::store::dynamodb
