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
#include "store/dynamodb/rows.h"
#include "telemetry/metrics.h"

namespace colloquy::store::dynamodb {

class Purger {
 public:
  // A record is claimed for two intervals at a time.
  Purger(std::shared_ptr<Rows> rows, const Clock& clock, std::chrono::seconds longest_turn,
         std::chrono::milliseconds interval, telemetry::Metrics& metrics);

  // Until stop(): sweeps at each interval, and when woken. Keeps `self` for as long as it runs.
  static Task<> run(std::shared_ptr<Purger> self);
  void wake() { wanted_.notify_all(); }
  void stop();

  // Once through all records. `claimed_too`: also those that another server is at.
  Task<> sweep(bool claimed_too = false);

 private:
  Task<> purge(PurgeItem item, bool claimed_too);
  Task<bool> erase_messages(ConversationId id);

  std::shared_ptr<Rows> rows_;
  const Clock& clock_;
  const std::chrono::seconds longest_turn_;
  const std::chrono::milliseconds interval_;
  const std::int64_t claim_s_;
  telemetry::Counter& purged_;
  Signal wanted_;
  std::atomic<bool> stopped_{false};
};

}  // namespace colloquy::store::dynamodb
