#include "store/dynamodb/table_sizes.h"

#include <utility>

#include "base/error.h"
#include "store/dynamodb/table_description.h"
#include "telemetry/log.h"

namespace colloquy::store::dynamodb {

TableSizes::TableSizes(Client& client, TableNames names, telemetry::Metrics& metrics)
    : client_(client), names_(std::move(names)), metrics_(metrics) {}

void TableSizes::stop() {
  stopped_ = true;
  stopping_.notify_all();
}

StoreStats TableSizes::stats() const {
  std::scoped_lock lock(mutex_);
  return stats_;
}

Task<> TableSizes::run(std::shared_ptr<TableSizes> self, std::chrono::milliseconds interval) {
  while (!self->stopped_) {
    auto ticket = self->stopping_.ticket();
    try {
      co_await self->refresh();
    } catch (const Error& error) {
      telemetry::log_warning("store.sizes_unknown",
                             {{"error", error.message()}, {"detail", error.detail()}});
    }
    if (self->stopped_) break;
    co_await self->stopping_.wait(ticket, interval);
  }
}

Task<> TableSizes::refresh() {
  StoreStats stats;
  for (const auto& table : {names_.conversations, names_.messages}) {
    auto there = co_await checked_describe_table(client_, table);
    if (!there) throw unavailable("The tables cannot be used right now.", "no table " + table);
    auto items = static_cast<double>(there->items);
    metrics_
        .gauge("colloquy_dynamodb_table_items",
               "Items of a table, as the service counts them every few hours.", {{"table", table}})
        .Set(items);
    metrics_
        .gauge("colloquy_dynamodb_table_bytes",
               "Size of a table, as the service measures it every few hours.", {{"table", table}})
        .Set(static_cast<double>(there->bytes));
    (table == names_.conversations ? stats.conversations : stats.messages) = there->items;
    stats.disk_bytes += there->bytes;
  }
  std::scoped_lock lock(mutex_);
  stats_ = stats;
}

}  // namespace colloquy::store::dynamodb
