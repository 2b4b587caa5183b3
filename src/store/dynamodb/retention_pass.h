// Makes the tables follow the servers' retention: where it has changed, and once a period, goes
// through all conversations once. Those that are alive get the removal times that they should have
// (renewer.h), or none; those that have expired by it, of which the service does not know, are
// deleted. What it has come to stands in a row of its own, so that one server at a time is at it
// and another goes on after a crash.
//
// Servers are replaced one by one: those that still run by the retention of before go on writing by
// it, so for a day after a change there are further passes. The server that starts last decides;
// one that finds another retention noted leaves it, unless that has stood for longer than a day.
// Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/ids.h"
#include "base/signal.h"
#include "base/task.h"
#include "store/dynamodb/purger.h"
#include "store/dynamodb/renewer.h"
#include "store/dynamodb/rows.h"
#include "telemetry/metrics.h"

namespace colloquy::store::dynamodb {

class RetentionPass {
 public:
  using OnExpired = std::function<void(const UserId&, ConversationId)>;

  // `writes_a_second`: at most, for what it reads and writes itself.
  RetentionPass(std::shared_ptr<Rows> rows, std::shared_ptr<Renewer> renewer,
                std::shared_ptr<Purger> purger, const Clock& clock, IdSource& ids,
                std::size_t writes_a_second, OnExpired on_expired, telemetry::Metrics& metrics);

  // Until stop(). Keeps `self` for as long as it runs.
  static Task<> run(std::shared_ptr<RetentionPass> self);
  void stop();
  // Notes that there is something to do. Before the first write under the retention: what is
  // written with removal times by it must not be forgotten should the setting change at once.
  Task<> note();
  // To its end, if it is time; at any rate. For tests and tools.
  Task<> pass_now();

 private:
  enum class Pace { kBounded, kAny };
  struct Run;
  std::int64_t wanted_seconds() const { return rows_->retention_seconds().value_or(0); }
  // When a pass is to begin once more, where all has been applied; nullopt: with the next change.
  std::optional<std::int64_t> next_pass_s(const RetentionItem& item) const;
  // Returns when to look again.
  Task<std::chrono::milliseconds> pass_if_due(Pace pace);
  Task<std::chrono::milliseconds> pass(Run& run);
  Task<bool> save(RetentionItem& item);
  Task<> settle(const ConversationItem& item, Run& run);
  Task<> remove(const Conversation& read);
  // Waits as long as so many calls may take, and keeps the claim.
  Task<> keep_pace(Run& run, std::size_t calls);

  std::shared_ptr<Rows> rows_;
  std::shared_ptr<Renewer> renewer_;
  std::shared_ptr<Purger> purger_;
  const Clock& clock_;
  IdSource& ids_;
  const std::size_t writes_a_second_;
  const OnExpired on_expired_;
  telemetry::Counter& looked_at_;
  telemetry::Counter& expired_;
  Signal wanted_;
  std::atomic<bool> stopped_{false};
};

}  // namespace colloquy::store::dynamodb
