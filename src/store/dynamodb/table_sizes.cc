#include "store/dynamodb/table_sizes.h"

#include <cstdint>
#include <utility>

#include "base/error.h"
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
    co_await self->look();
    if (self->stopped_) break;
    co_await self->stopping_.wait(ticket, interval);
  }
}

Task<> TableSizes::look() {
  try {
    co_await refresh();
    failed_ = false;
  } catch (const Error& error) {
    if (failed_.exchange(true)) co_return;
    telemetry::log_warning("store.sizes_unknown",
                           {{"error", error.message()}, {"detail", error.detail()}});
  }
}

Task<> TableSizes::refresh() {
  StoreStats stats;
  for (const auto& table : {names_.conversations, names_.messages}) {
    auto there = co_await checked_describe_table(client_, table);
    if (!there) throw unavailable("The tables cannot be used right now.", "no table " + table);
    show(table, *there);
    (table == names_.conversations ? stats.conversations : stats.messages) = there->items;
    stats.disk_bytes += there->bytes;
  }
  std::scoped_lock lock(mutex_);
  stats_ = stats;
}

void TableSizes::show(const std::string& table, const TableDescription& there) {
  const auto set = [this](const std::string& name, const std::string& help,
                          const telemetry::Labels& labels, std::uint64_t value) {
    metrics_.gauge(name, help, labels).Set(static_cast<double>(value));
  };
  set("colloquy_dynamodb_table_items",
      "Items of a table, as the service counts them every six hours or so.", {{"table", table}},
      there.items);
  set("colloquy_dynamodb_table_bytes",
      "Size of a table, as the service measures it every six hours or so.", {{"table", table}},
      there.bytes);
  for (const auto& index : there.indexes) {
    const telemetry::Labels labels{{"table", table}, {"index", index.name}};
    set("colloquy_dynamodb_index_items",
        "Items of an index, as the service counts them every six hours or so.", labels,
        index.items);
    set("colloquy_dynamodb_index_bytes",
        "Size of an index, as the service measures it every six hours or so.", labels, index.bytes);
  }
}

}  // namespace colloquy::store::dynamodb
