// How much the tables hold, as the service counts it every six hours or so: asked for at intervals,
// kept for stats() and as metrics. Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>

#include "base/signal.h"
#include "base/task.h"
#include "store/dynamodb/client.h"
#include "store/dynamodb/rows.h"
#include "store/dynamodb/table_description.h"
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
  // The same; a failure goes to the log, unless the one before has failed too.
  Task<> look();
  StoreStats stats() const;

 private:
  void show(const std::string& table, const TableDescription& there);

  Client& client_;
  const TableNames names_;
  telemetry::Metrics& metrics_;
  mutable std::mutex mutex_;
  StoreStats stats_;  // guarded by mutex_
  Signal stopping_;
  std::atomic<bool> stopped_{false};
  std::atomic<bool> failed_{false};
};

}  // namespace colloquy::store::dynamodb
