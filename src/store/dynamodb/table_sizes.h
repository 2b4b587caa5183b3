// How much the tables hold, as the service counts it every few hours: asked for at intervals, kept
// for stats() and as metrics. Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>

#include "base/signal.h"
#include "base/task.h"
#include "store/dynamodb/client.h"
#include "store/dynamodb/rows.h"
#include "store/types.h"
#include "telemetry/metrics.h"

namespace colloquy::store::dynamodb {

class TableSizes {
 public:
  TableSizes(Client& client, TableNames names, telemetry::Metrics& metrics);

  // Until stop(): asks at once, and at each interval. Keeps `self` for as long as it runs.
  static Task<> run(std::shared_ptr<TableSizes> self, std::chrono::milliseconds interval);
  void stop();

  // Asks once. Throws Error; what is known stays.
  Task<> refresh();
  StoreStats stats() const;

 private:
  Client& client_;
  const TableNames names_;
  telemetry::Metrics& metrics_;
  mutable std::mutex mutex_;
  StoreStats stats_;  // guarded by mutex_
  Signal stopping_;
  std::atomic<bool> stopped_{false};
};

}  // namespace colloquy::store::dynamodb
