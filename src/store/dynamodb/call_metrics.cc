#include "store/dynamodb/call_metrics.h"

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

namespace colloquy::store::dynamodb {
namespace {

// Units come as a number, whole or not.
double units_of(const boost::json::object& capacity) {
  const auto* units = capacity.if_contains("CapacityUnits");
  if (units == nullptr || !units->is_number()) return 0;
  return units->to_number<double>();
}

bool is_read(std::string_view operation) {
  return operation == "GetItem" || operation == "Query" || operation == "BatchGetItem" ||
         operation == "Scan";
}

}  // namespace

void CallMetrics::attempted(std::string_view operation, std::string_view outcome, double seconds) {
  std::pair<std::string, std::string> key(operation, outcome);
  telemetry::Histogram* histogram = nullptr;
  {
    std::scoped_lock lock(mutex_);
    auto& known = seconds_[key];
    if (known == nullptr) {
      known = &metrics_.histogram("colloquy_dynamodb_attempt_seconds",
                                  "Time of one attempt of a call to the tables' service.",
                                  telemetry::latency_buckets(),
                                  {{"operation", key.first}, {"outcome", key.second}});
    }
    histogram = known;
  }
  histogram->Observe(seconds);
}

void CallMetrics::repeated(std::string_view operation, std::string_view reason) {
  metrics_
      .counter("colloquy_dynamodb_retries_total", "Calls to the tables' service sent again.",
               {{"operation", std::string(operation)}, {"reason", std::string(reason)}})
      .Increment();
}

void CallMetrics::consumed(std::string_view operation, const boost::json::object& answer) {
  const auto* capacity = answer.if_contains("ConsumedCapacity");
  if (capacity == nullptr) return;
  if (const auto* one = capacity->if_object()) {
    consumed_by(operation, *one);
  } else if (const auto* several = capacity->if_array()) {
    for (const auto& each : *several) {
      if (const auto* object = each.if_object()) consumed_by(operation, *object);
    }
  }
}

void CallMetrics::consumed_by(std::string_view operation, const boost::json::object& capacity) {
  const auto* name = capacity.if_contains("TableName");
  if (name == nullptr || !name->is_string()) return;
  std::string table(name->get_string());
  // A table's name may come as its ARN.
  if (auto slash = table.rfind('/'); slash != std::string::npos) table.erase(0, slash + 1);
  const auto* base = capacity.if_contains("Table");
  add_units(operation, table, "",
            units_of(base && base->is_object() ? base->get_object() : capacity));
  for (const char* kind : {"GlobalSecondaryIndexes", "LocalSecondaryIndexes"}) {
    const auto* indexes = capacity.if_contains(kind);
    if (indexes == nullptr || !indexes->is_object()) continue;
    for (const auto& index : indexes->get_object()) {
      if (!index.value().is_object()) continue;
      add_units(operation, table, std::string(std::string_view(index.key())),
                units_of(index.value().get_object()));
    }
  }
}

void CallMetrics::add_units(std::string_view operation, const std::string& table,
                            const std::string& index, double units) {
  telemetry::Counter* counter = nullptr;
  {
    std::scoped_lock lock(mutex_);
    auto& known = units_[{std::string(operation), table, index}];
    if (known == nullptr) {
      known = &metrics_.counter("colloquy_dynamodb_consumed_units_total",
                                "Capacity units that calls have consumed.",
                                {{"operation", std::string(operation)},
                                 {"table", table},
                                 {"index", index},
                                 {"kind", is_read(operation) ? "read" : "write"}});
    }
    counter = known;
  }
  counter->Increment(units);
}

}  // namespace colloquy::store::dynamodb
