#include "store/dynamodb/rows.h"

#include <boost/json/serialize.hpp>
#include <utility>

#include "base/error.h"
#include "store/dynamodb/answers.h"
#include "store/dynamodb/attributes.h"
#include "store/dynamodb/refusals.h"
#include "telemetry/log.h"

namespace colloquy::store::dynamodb {
namespace {

void require_unchanged(Request& request, const PurgeItem& before) {
  std::string condition = "#deleted_at = :was_deleted_at";
  request.number(":was_deleted_at", before.deleted_at_s);
  if (before.claimed_until_s > 0) {
    condition += " AND #claimed_until = :was_claimed_until";
    request.number(":was_claimed_until", before.claimed_until_s);
  } else {
    condition += " AND attribute_not_exists(#claimed_until)";
  }
  if (!before.stamp.empty()) {
    condition += " AND #stamp = :was_stamp";
    request.string(":was_stamp", before.stamp);
  } else {
    condition += " AND attribute_not_exists(#stamp)";
  }
  request.condition(condition);
}

// nullopt, and logged, where it cannot be.
std::optional<PurgeItem> purge_of(const boost::json::object& item) {
  try {
    return read_purge(item);
  } catch (const Error& error) {
    auto id = AttributeReader(item).string("message_id").value_or("");
    telemetry::log_error(
        "store.damaged_row",
        {{"conversation_id", id}, {"error", error.message()}, {"detail", error.detail()}});
    return std::nullopt;
  }
}

}  // namespace

Task<std::optional<boost::json::object>> Rows::get(std::string body) {
  auto answer = co_await checked_call(client_, "GetItem", std::move(body));
  auto* item = answer.body.if_contains("Item");
  if (item == nullptr || !item->is_object()) co_return std::nullopt;
  co_return std::move(item->get_object());
}

Task<std::optional<KeyedItem>> Rows::keyed(std::string hash_key) {
  Request request(names_.messages);
  request.message_key(hash_key, kKeyedRange).set("ConsistentRead", true);
  auto item = co_await get(request.take());
  if (!item) co_return std::nullopt;
  co_return read_keyed(*item);
}

Task<std::optional<KeyedItem>> Rows::claim(const KeyedItem& item, std::int64_t now_s) {
  Request request(names_.messages);
  request.item([&](JsonWriter& json) { write_item(json, item); });
  request.condition("attribute_not_exists(#conversation_id) OR #expires_at <= :now");
  request.number(":now", now_s);
  auto outcome = co_await conditional_call(client_, "PutItem", request.take_conditional());
  if (outcome.done) co_return std::nullopt;
  auto there = read_keyed(outcome.there);
  // Ids are made anew for every request: the same ones are ours, whose answer was lost.
  bool ours = there.conversation_id == item.conversation_id &&
              there.message_id == item.message_id && there.reply_id == item.reply_id;
  if (ours) co_return std::nullopt;
  co_return there;
}

Task<> Rows::mark_deleted(std::string hash_key) {
  Request request(names_.messages);
  request.message_key(hash_key, kKeyedRange);
  request.update("SET #deleted = :deleted").condition("attribute_exists(#conversation_id)");
  request.boolean(":deleted", true);
  co_await conditional_call(client_, "UpdateItem", request.take_conditional());
}

Task<> Rows::put_purge(UserId user, ConversationId id, std::int64_t now_s,
                       std::int64_t claimed_for_s) {
  PurgeItem item;
  item.conversation_id = id;
  item.user_id = std::move(user);
  item.deleted_at_s = now_s;
  if (claimed_for_s > 0) item.claimed_until_s = now_s + claimed_for_s;
  Request request(names_.messages);
  request.item([&](JsonWriter& json) { write_item(json, item); });
  co_await checked_call(client_, "PutItem", request.take());
}

Task<std::optional<PurgeItem>> Rows::insert_purge(const PurgeItem& item, std::int64_t now_s) {
  Request request(names_.messages);
  request.item([&](JsonWriter& json) { write_item(json, item); });
  request.condition(
      "attribute_not_exists(#conversation_id) OR "
      "(attribute_exists(#stamp) AND #claimed_until <= :now)");
  request.number(":now", now_s);
  auto outcome = co_await conditional_call(client_, "PutItem", request.take_conditional());
  if (outcome.done || outcome.there.empty()) co_return std::nullopt;
  auto there = read_purge(outcome.there);
  if (outcome.after_lost_answer && there == item) co_return std::nullopt;
  co_return there;
}

Task<ItemPage<PurgeItem>> Rows::purges(std::size_t shard, std::optional<ConversationId> after) {
  constexpr std::int64_t kAtOnce = 100;
  ItemPage<PurgeItem> page;
  boost::json::object start;
  do {
    Request request(names_.messages);
    request.string(":hash", purge_hash_key(shard)).set("Limit", kAtOnce);
    request.set("ConsistentRead", true);
    if (after) {
      request.key_condition("#conversation_id = :hash AND #message_id > :after");
      request.string(":after", after->to_string());
    } else {
      request.key_condition("#conversation_id = :hash");
    }
    if (!start.empty()) request.raw("ExclusiveStartKey", boost::json::serialize(start));
    auto answer = co_await checked_call(client_, "Query", request.take());
    for (const auto& item : items_of(answer.body)) {
      auto purge = purge_of(item.get_object());
      if (purge) page.items.push_back(std::move(*purge));
    }
    start = take_next(answer.body);
  } while (!start.empty() && page.items.empty());
  page.more = !start.empty();
  co_return page;
}

Task<bool> Rows::replace_purge(PurgeItem before, PurgeItem after) {
  Request request(names_.messages);
  request.item([&](JsonWriter& json) { write_item(json, after); });
  require_unchanged(request, before);
  auto outcome = co_await conditional_call(client_, "PutItem", request.take_conditional());
  if (outcome.done) co_return true;
  bool ours = outcome.after_lost_answer && !outcome.there.empty();
  co_return ours&& read_purge(outcome.there) == after;
}

Task<bool> Rows::erase_purge(PurgeItem before) {
  Request request(names_.messages);
  request.message_key(purge_hash_key(before.conversation_id), before.conversation_id.to_string());
  require_unchanged(request, before);
  auto outcome = co_await conditional_call(client_, "DeleteItem", request.take_conditional());
  co_return outcome.done || (outcome.after_lost_answer && outcome.there.empty());
}

Task<bool> Rows::finish_taking(const ConversationItem& item, PurgeItem taking) {
  const auto& id = item.conversation.id;
  std::string body;
  JsonWriter json(body);
  json.begin_object().key("ReturnConsumedCapacity").string("INDEXES");
  // Sent again, it is the same transaction.
  json.key("ClientRequestToken").string(taking.stamp);
  json.key("TransactItems").begin_array();
  json.begin_object().key("Put").begin_object().key("TableName").string(names_.conversations);
  json.key("ConditionExpression").string("attribute_not_exists(conversation_id)").key("Item");
  write_item(json, item, id.to_string());
  json.end_object().end_object();
  json.begin_object().key("Delete").begin_object().key("TableName").string(names_.messages);
  json.key("ConditionExpression").string("stamp = :stamp");
  json.key("ExpressionAttributeValues").begin_object();
  AttributeWriter(json).string(":stamp", taking.stamp);
  json.end_object().key("Key").begin_object();
  AttributeWriter(json).string("conversation_id", purge_hash_key(id)).uuid("message_id", id.uuid());
  json.end_object().end_object().end_object();
  json.end_array().end_object();
  auto outcome = co_await conditional_call(client_, "TransactWriteItems", std::move(body));
  co_return outcome.done;
}

}  // namespace colloquy::store::dynamodb
