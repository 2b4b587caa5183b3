// What the tables of settings are made of. For settings.cc and its like.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "config/config.h"
#include "config/values.h"

namespace colloquy::config {

// Sums and products of what is within these bounds overflow nothing.
inline constexpr std::int64_t kDayMs = 24LL * 60 * 60 * 1000;
inline constexpr std::int64_t kMostDays = 366;

template <class Config>
auto text(std::string Config::*field) {
  return [field](Config& c, const std::string& v) { c.*field = v; };
}
template <class Config>
auto duration(std::chrono::milliseconds Config::*field, std::int64_t least_ms = 1,
              std::int64_t most_days = kMostDays) {
  return [field, least_ms, most_days](Config& c, const std::string& v) {
    c.*field = parse_duration(v);
    if ((c.*field).count() < least_ms) throw ConfigError("is too short");
    if ((c.*field).count() > most_days * kDayMs) {
      throw ConfigError("is too long: " + std::to_string(most_days) + "d at most");
    }
  };
}
inline StoreKind parse_store(const std::string& value) {
  if (value == "rocksdb") return StoreKind::kRocksDb;
  if (value == "dynamodb") return StoreKind::kDynamoDb;
  throw ConfigError("must be rocksdb or dynamodb");
}

inline void apply_endpoint(DynamoDbConfig& config, const std::string& value) {
  if (!value.empty()) check_endpoint(value);
  config.endpoint = value;
}

inline std::chrono::milliseconds short_duration(const std::string& text) {
  auto duration = parse_duration(text);
  auto ms = duration.count();
  if (ms < 100 || ms > 60'000) throw ConfigError("must be between 100ms and 1m");
  return duration;
}

// The settings of the tables, of every command that speaks to them.
template <class Config>
std::vector<Setting<Config>> dynamodb_settings() {
  auto table_name = [](std::string DynamoDbConfig::*field) {
    return [field](Config& c, const std::string& v) {
      check_table_name(v);
      c.dynamodb.*field = v;
    };
  };
  return {
      {"Tables", "dynamodb-endpoint", "",
       "URL of another service than Amazon's own, such as http://127.0.0.1:8000.", false,
       [](Config& c, const std::string& v) { apply_endpoint(c.dynamodb, v); }},
      {"Tables", "dynamodb-region", "",
       "Region of the tables; default: found as the AWS SDKs find it.", false,
       [](Config& c, const std::string& v) { c.dynamodb.region = v; }},
      {"Tables", "dynamodb-conversations-table", "conversations",
       "Name of the table of conversations.", false,
       table_name(&DynamoDbConfig::conversations_table)},
      {"Tables", "dynamodb-messages-table", "messages", "Name of the table of messages.", false,
       table_name(&DynamoDbConfig::messages_table)},
      {"Tables", "dynamodb-timeout", "5s", "How long one attempt of a call may take.", false,
       [](Config& c, const std::string& v) { c.dynamodb.timeout = short_duration(v); }},
      {"Tables", "dynamodb-call-timeout", "20s",
       "How long after a call began it may be tried again.", false,
       [](Config& c, const std::string& v) { c.dynamodb.call_timeout = short_duration(v); }},
  };
}

}  // namespace colloquy::config
