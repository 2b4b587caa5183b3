// What the calls of the service cost and how they go, as metrics. Thread-safe.
#pragma once

#include <boost/json/object.hpp>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <tuple>

#include "telemetry/metrics.h"

namespace colloquy::store::dynamodb {

class CallMetrics {
 public:
  explicit CallMetrics(telemetry::Metrics& metrics) : metrics_(metrics) {}

  // One attempt; `outcome` is "ok" or why not ("throttled", "timeout", …).
  void attempted(std::string_view operation, std::string_view outcome, double seconds);
  void repeated(std::string_view operation, std::string_view reason);
  // Adds up what the answer says it has consumed, by table and index.
  void consumed(std::string_view operation, const boost::json::object& answer);

 private:
  void consumed_by(std::string_view operation, const boost::json::object& capacity);
  void add_units(std::string_view operation, const std::string& table, const std::string& index,
                 double units);

  telemetry::Metrics& metrics_;
  std::mutex mutex_;
  // By operation and outcome. Guarded by mutex_, as the next.
  std::map<std::pair<std::string, std::string>, telemetry::Histogram*, std::less<>> seconds_;
  std::map<std::tuple<std::string, std::string, std::string>, telemetry::Counter*> units_;
};

}  // namespace colloquy::store::dynamodb
