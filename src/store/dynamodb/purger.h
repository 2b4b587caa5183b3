// Finishes deletions: removes the messages of conversations that are gone. Every server looks
// through the purge records; each record is claimed by one of them at a time. A record goes only
// after a second look, past the longest turn, so that a turn that was running when its conversation
// was deleted leaves nothing. Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>

#include "base/clock.h"
#include "base/signal.h"
#include "base/task.h"
#include "store/dynamodb/parts_records.h"
#include "store/dynamodb/renewer.h"
#include "store/dynamodb/rows.h"
#include "telemetry/metrics.h"

namespace colloquy::store::dynamodb {

class Purger {
 public:
  // A record is claimed for two intervals at a time, or as long as a piece takes at that rate.
  Purger(std::shared_ptr<Rows> rows, PartsRecords parts, std::shared_ptr<Renewer> renewer,
         const Clock& clock, std::chrono::seconds longest_turn, std::chrono::milliseconds interval,
         std::size_t messages_a_second, telemetry::Metrics& metrics);

  // Until stop(): sweeps at each interval, and when woken. Keeps `self` for as long as it runs.
  static Task<> run(std::shared_ptr<Purger> self);
  void wake() { wanted_.notify_all(); }
  void stop();

  // Once through all records. `claimed_too`: also those that another server is at.
  Task<> sweep(bool claimed_too = false);

 private:
  Task<> purge(PurgeItem item, bool claimed_too);
  // What is to be done for a conversation that is there; false when it is not.
  Task<bool> settle(PurgeItem item);
  Task<bool> erase_messages(PurgeItem& item, bool at_any_rate);
  Task<bool> postpone(PurgeItem& item, std::int64_t until_s);

  std::shared_ptr<Rows> rows_;
  PartsRecords parts_;
  std::shared_ptr<Renewer> renewer_;
  const Clock& clock_;
  const std::chrono::seconds longest_turn_;
  const std::chrono::milliseconds interval_;
  const std::size_t messages_a_second_;
  const std::int64_t claim_s_;
  telemetry::Counter& purged_;
  Signal wanted_;
  Signal stopping_;
  std::atomic<bool> stopped_{false};
};

}  // namespace colloquy::store::dynamodb
