#include "store/dynamodb/scan.h"

#include <boost/json/serialize.hpp>
#include <utility>

#include "base/error.h"
#include "store/dynamodb/answers.h"
#include "store/dynamodb/refusals.h"
#include "store/dynamodb/request.h"
#include "store/dynamodb/table_description.h"

namespace colloquy::store::dynamodb {
namespace {

Task<RowPage> page_of(Client& client, std::string operation, std::string body) {
  auto answer = co_await checked_call(client, operation, std::move(body));
  RowPage page;
  for (const auto& item : items_of(answer.body)) page.items.push_back(item.get_object());
  auto next = take_next(answer.body);
  if (!next.empty()) page.next = boost::json::serialize(next);
  co_return page;
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

Task<std::uint64_t> count_rows(Client& client, std::string table, KeyShape key) {
  auto there = co_await checked_describe_table(client, table);
  if (!there) throw unusable(table, "is not there");
  if (there->status.empty()) throw internal_error("DescribeTable described no table");
  if (there->status != "ACTIVE" && there->status != "UPDATING") {
    throw unusable(table, "cannot be used now: it is " + there->status);
  }
  if (there->key != key) {
    throw unusable(table, "has other keys than " + key.hash + " and " + key.range);
  }
  co_return there->items;
}

Task<std::uint64_t> count_conversations(Client& client, TableNames names) {
  KeyShape of_conversations{"user_id", "conversation_id"};
  KeyShape of_messages{"conversation_id", "message_id"};
  auto count = co_await count_rows(client, names.conversations, of_conversations);
  co_await count_rows(client, names.messages, of_messages);
  co_return count;
}

}  // namespace colloquy::store::dynamodb
