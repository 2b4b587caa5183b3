#include "store/dynamodb/table_description.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <cmath>
#include <utility>

#include "base/json_writer.h"
#include "store/dynamodb/refusals.h"

namespace colloquy::store::dynamodb {
namespace {

using boost::json::object;

// The answer is another's: a member that is not there, or of another type, is an empty one.
const object& object_in(const object& in, std::string_view name) {
  static const object kNone;
  const auto* value = in.if_contains(name);
  return value != nullptr && value->is_object() ? value->get_object() : kNone;
}

std::string string_in(const object& in, std::string_view name) {
  const auto* value = in.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::int64_t integer_in(const object& in, std::string_view name) {
  const auto* value = in.if_contains(name);
  if (value == nullptr || !value->is_number()) return 0;
  boost::system::error_code not_exact;
  auto number = value->to_number<std::int64_t>(not_exact);
  return not_exact ? 0 : std::max<std::int64_t>(number, 0);
}

bool boolean_in(const object& in, std::string_view name) {
  const auto* value = in.if_contains(name);
  return value != nullptr && value->is_bool() && value->get_bool();
}

// The service writes times as numbers of seconds, with or without a fraction.
double seconds_in(const object& in, std::string_view name) {
  const auto* value = in.if_contains(name);
  if (value == nullptr || !value->is_number()) return 0;
  constexpr double kMost = 1e12;
  return std::clamp(value->to_number<double>(), 0.0, kMost);
}

std::vector<object> objects_in(const object& in, std::string_view name) {
  std::vector<object> objects;
  const auto* value = in.if_contains(name);
  if (value == nullptr || !value->is_array()) return objects;
  for (const auto& element : value->get_array()) {
    if (element.is_object()) objects.push_back(element.get_object());
  }
  return objects;
}

KeyShape key_in(const object& in) {
  KeyShape key;
  for (const auto& element : objects_in(in, "KeySchema")) {
    auto name = string_in(element, "AttributeName");
    (string_in(element, "KeyType") == "HASH" ? key.hash : key.range) = std::move(name);
  }
  return key;
}

}  // namespace

const IndexDescription* TableDescription::index(std::string_view name) const {
  auto found = std::find_if(indexes.begin(), indexes.end(),
                            [&](const auto& index) { return index.name == name; });
  return found == indexes.end() ? nullptr : &*found;
}

std::string table_body(const std::string& table) {
  std::string body;
  JsonWriter(body).begin_object().key("TableName").string(table).end_object();
  return body;
}

Task<std::optional<object>> describe_table_raw(Client& client, std::string table) {
  try {
    auto answer = co_await client.call("DescribeTable", table_body(table));
    co_return object_in(answer.body, "Table");
  } catch (const ServiceError& refusal) {
    if (refusal.refusal() != Refusal::kNoSuchTable) throw;
  }
  co_return std::nullopt;
}

TableDescription parse_table(const object& table) {
  TableDescription result;
  result.status = string_in(table, "TableStatus");
  result.key = key_in(table);
  for (const auto& definition : objects_in(table, "AttributeDefinitions")) {
    result.types[string_in(definition, "AttributeName")] = string_in(definition, "AttributeType");
  }
  for (const auto& index : objects_in(table, "GlobalSecondaryIndexes")) {
    result.indexes.push_back({string_in(index, "IndexName"), key_in(index),
                              string_in(object_in(index, "Projection"), "ProjectionType"),
                              string_in(index, "IndexStatus"),
                              static_cast<std::uint64_t>(integer_in(index, "ItemCount")),
                              static_cast<std::uint64_t>(integer_in(index, "IndexSizeBytes"))});
  }
  if (string_in(object_in(table, "BillingModeSummary"), "BillingMode") != "PAY_PER_REQUEST") {
    const auto& throughput = object_in(table, "ProvisionedThroughput");
    result.units = {integer_in(throughput, "ReadCapacityUnits"),
                    integer_in(throughput, "WriteCapacityUnits")};
  }
  result.encryption = string_in(object_in(table, "SSEDescription"), "Status");
  result.items = static_cast<std::uint64_t>(integer_in(table, "ItemCount"));
  result.bytes = static_cast<std::uint64_t>(integer_in(table, "TableSizeBytes"));
  result.arn = string_in(table, "TableArn");
  result.table_class = string_in(object_in(table, "TableClassSummary"), "TableClass");
  result.deletion_protection = boolean_in(table, "DeletionProtectionEnabled");
  result.streams = boolean_in(object_in(table, "StreamSpecification"), "StreamEnabled");
  const auto& restored = object_in(table, "RestoreSummary");
  if (!restored.empty()) {
    result.restored =
        TableDescription::Restored{.from_arn = string_in(restored, "SourceTableArn"),
                                   .at_s = std::llround(seconds_in(restored, "RestoreDateTime")),
                                   .goes_on = boolean_in(restored, "RestoreInProgress")};
  }
  return result;
}

Task<std::optional<TableDescription>> describe_table(Client& client, std::string table) {
  auto raw = co_await describe_table_raw(client, std::move(table));
  if (!raw) co_return std::nullopt;
  co_return parse_table(*raw);
}

Task<std::optional<TableDescription>> checked_describe_table(Client& client, std::string table) {
  try {
    co_return co_await describe_table(client, std::move(table));
  } catch (const ServiceError& refusal) {
    throw error_of("DescribeTable", refusal);
  }
}

Task<object> time_to_live_raw(Client& client, std::string table) {
  auto answer = co_await client.call("DescribeTimeToLive", table_body(table));
  co_return object_in(answer.body, "TimeToLiveDescription");
}

Task<TimeToLive> describe_time_to_live(Client& client, std::string table) {
  auto raw = co_await time_to_live_raw(client, std::move(table));
  TimeToLive result;
  result.status = string_in(raw, "TimeToLiveStatus");
  result.attribute = string_in(raw, "AttributeName");
  co_return result;
}

Task<object> continuous_backups_raw(Client& client, std::string table) {
  auto answer = co_await client.call("DescribeContinuousBackups", table_body(table));
  co_return object_in(answer.body, "ContinuousBackupsDescription");
}

Task<bool> has_recovery(Client& client, std::string table) {
  auto recovery = co_await describe_recovery(client, std::move(table));
  co_return recovery.on;
}

Task<Recovery> describe_recovery(Client& client, std::string table) {
  auto raw = co_await continuous_backups_raw(client, std::move(table));
  const auto& recovery = object_in(raw, "PointInTimeRecoveryDescription");
  auto status = string_in(recovery, "PointInTimeRecoveryStatus");
  Recovery result;
  result.on = status == "ENABLED" || status == "ENABLING";
  result.earliest_s = std::llround(std::ceil(seconds_in(recovery, "EarliestRestorableDateTime")));
  result.latest_s = std::llround(std::floor(seconds_in(recovery, "LatestRestorableDateTime")));
  result.days = integer_in(recovery, "RecoveryPeriodInDays");
  co_return result;
}

std::vector<std::string> wrong_keys(const TableShape& shape, const TableDescription& there) {
  std::vector<std::string> wrong;
  if (there.key != shape.key) {
    wrong.push_back("its key is " + there.key.text() + " and must be " + shape.key.text());
  }
  for (const auto& index : shape.indexes) {
    const auto* found = there.index(index.name);
    if (found != nullptr && found->key != index.key) {
      wrong.push_back("the key of its index " + index.name + " is " + found->key.text() +
                      " and must be " + index.key.text());
    }
  }
  for (const auto& [name, type] : shape.types) {
    auto found = there.types.find(name);
    if (found == there.types.end() || found->second == type) continue;
    wrong.push_back("its attribute " + name + " is of type " + found->second + " and must be " +
                    type);
  }
  return wrong;
}

}  // namespace colloquy::store::dynamodb
