// What the service says of a table. The calls throw ServiceError for what it refuses, and
// Error(kUnavailable) when it is out; members that an answer leaves out are empty here.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/task.h"
#include "store/dynamodb/client.h"
#include "store/dynamodb/table_shape.h"

namespace colloquy::store::dynamodb {

struct IndexDescription {
  std::string name;
  KeyShape key;
  std::string projection;   // "KEYS_ONLY"
  std::string status;       // "ACTIVE"
  std::uint64_t items = 0;  // counted by the service every few hours
  std::uint64_t bytes = 0;
};

struct TableDescription {
  std::string status;  // "ACTIVE"
  KeyShape key;
  std::map<std::string, std::string> types;  // of the attributes in keys
  std::vector<IndexDescription> indexes;
  ProvisionedUnits units;   // 0: on demand
  std::string encryption;   // "ENABLED"; empty: the service does not say
  std::uint64_t items = 0;  // counted by the service every few hours
  std::uint64_t bytes = 0;
  std::string arn;
  std::string table_class;  // "STANDARD_INFREQUENT_ACCESS"; empty: the usual one
  bool deletion_protection = false;
  bool streams = false;
  // Of one that the service has restored, for ever after.
  struct Restored {
    std::string from_arn;
    std::int64_t at_s = 0;
    bool goes_on = false;
  };
  std::optional<Restored> restored;

  const IndexDescription* index(std::string_view name) const;
};

// nullopt: there is no such table.
Task<std::optional<boost::json::object>> describe_table_raw(Client& client, std::string table);
TableDescription parse_table(const boost::json::object& table);
Task<std::optional<TableDescription>> describe_table(Client& client, std::string table);
// As describe_table, throwing Error only.
Task<std::optional<TableDescription>> checked_describe_table(Client& client, std::string table);

struct TimeToLive {
  std::string status;  // "ENABLED"
  std::string attribute;
  bool on() const { return status == "ENABLED" || status == "ENABLING"; }
};
Task<boost::json::object> time_to_live_raw(Client& client, std::string table);
Task<TimeToLive> describe_time_to_live(Client& client, std::string table);

Task<boost::json::object> continuous_backups_raw(Client& client, std::string table);
// Whether point-in-time recovery is on.
Task<bool> has_recovery(Client& client, std::string table);
struct Recovery {
  bool on = false;
  std::int64_t earliest_s = 0;  // the first second that can be restored, and the last
  std::int64_t latest_s = 0;
  std::int64_t days = 0;  // how far back it is set to reach; 0: the service does not say
};
Task<Recovery> describe_recovery(Client& client, std::string table);

// {"TableName": table}
std::string table_body(const std::string& table);

// Where the keys of the table and of those of its indexes that `shape` names are not what they must
// be: a sentence each, without the table's name. None of that can be changed in place.
std::vector<std::string> wrong_keys(const TableShape& shape, const TableDescription& there);

}  // namespace colloquy::store::dynamodb
