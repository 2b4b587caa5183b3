#include "store/dynamodb/scan.h"

#include <boost/json/serialize.hpp>
#include <optional>
#include <utility>

#include "base/error.h"
#include "store/dynamodb/answers.h"
#include "store/dynamodb/refusals.h"
#include "store/dynamodb/request.h"

namespace colloquy::store::dynamodb {
namespace {

std::string_view text_of(const boost::json::object& from, std::string_view name) {
  const auto* value = from.if_contains(name);
  if (value == nullptr || !value->is_string()) return {};
  const auto& text = value->get_string();
  return {text.data(), text.size()};
}

Task<RowPage> page_of(Client& client, std::string operation, std::string body) {
  auto answer = co_await checked_call(client, operation, std::move(body));
  RowPage page;
  for (const auto& item : items_of(answer.body)) page.items.push_back(item.get_object());
  auto next = take_next(answer.body);
  if (!next.empty()) page.next = boost::json::serialize(next);
  co_return page;
}

bool has_keys(const boost::json::object& description, const TableKeys& keys) {
  const auto* schema = description.if_contains("KeySchema");
  if (schema == nullptr || !schema->is_array()) return false;
  std::string hash;
  std::string range;
  for (const auto& key : schema->get_array()) {
    if (!key.is_object()) return false;
    auto& to = text_of(key.get_object(), "KeyType") == "HASH" ? hash : range;
    to = text_of(key.get_object(), "AttributeName");
  }
  return hash == keys.hash && range == keys.range;
}

Error unusable(const std::string& table, const std::string& why) {
  return {ErrorCode::kInvalid, "The table " + table + " " + why + "."};
}

}  // namespace

Task<RowPage> scan_rows(Client& client, std::string table, std::string position,
                        std::int64_t limit) {
  Request request(table);
  request.set("ConsistentRead", true).set("Limit", limit);
  if (!position.empty()) request.raw("ExclusiveStartKey", position);
  co_return co_await page_of(client, "Scan", request.take());
}

Task<RowPage> query_rows(Client& client, RowQuery query, std::string position) {
  Request request(query.table);
  request.key_condition("#" + query.hash_name + " = :hash").string(":hash", query.hash);
  request.set("ConsistentRead", true);
  if (!query.projection.empty()) request.projection(query.projection);
  if (query.limit > 0) request.set("Limit", query.limit);
  if (!position.empty()) request.raw("ExclusiveStartKey", position);
  co_return co_await page_of(client, "Query", request.take());
}

Task<std::uint64_t> count_rows(Client& client, std::string table, TableKeys keys) {
  Answer answer;
  std::optional<ServiceError> refused;
  std::string body;
  JsonWriter(body).begin_object().key("TableName").string(table).end_object();
  try {
    answer = co_await client.call("DescribeTable", std::move(body));
  } catch (const ServiceError& refusal) {
    refused = refusal;
  }
  if (refused && refused->refusal() == Refusal::kNoSuchTable) {
    throw unusable(table, "is not there");
  }
  if (refused) throw error_of("DescribeTable", *refused);
  const auto* description = answer.body.if_contains("Table");
  if (description == nullptr || !description->is_object()) {
    throw internal_error("DescribeTable described no table");
  }
  const auto& table_object = description->get_object();
  auto status = text_of(table_object, "TableStatus");
  if (status != "ACTIVE" && status != "UPDATING") {
    throw unusable(table, "cannot be used now: it is " + std::string(status));
  }
  if (!has_keys(table_object, keys)) {
    throw unusable(table, "has other keys than " + keys.hash + " and " + keys.range);
  }
  const auto* count = table_object.if_contains("ItemCount");
  if (count == nullptr || !count->is_int64() || count->get_int64() < 0) co_return 0;
  co_return static_cast<std::uint64_t>(count->get_int64());
}

Task<std::uint64_t> count_conversations(Client& client, TableNames names) {
  TableKeys of_conversations{"user_id", "conversation_id"};
  TableKeys of_messages{"conversation_id", "message_id"};
  auto count = co_await count_rows(client, names.conversations, of_conversations);
  co_await count_rows(client, names.messages, of_messages);
  co_return count;
}

}  // namespace colloquy::store::dynamodb
