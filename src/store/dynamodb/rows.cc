#include "store/dynamodb/rows.h"

#include <utility>

#include "store/dynamodb/answers.h"
#include "store/dynamodb/refusals.h"

namespace colloquy::store::dynamodb {
namespace {

constexpr std::string_view kKeyedRange = "key";

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

Task<> Rows::put_purge(const PurgeItem& item) {
  Request request(names_.messages);
  request.item([&](JsonWriter& json) { write_item(json, item); });
  co_await checked_call(client_, "PutItem", request.take());
}

Task<ItemPage<PurgeItem>> Rows::purges(std::size_t shard, std::optional<ConversationId> after) {
  constexpr std::int64_t kAtOnce = 100;
  Request request(names_.messages);
  request.string(":hash", purge_hash_key(shard)).set("Limit", kAtOnce);
  if (after) {
    request.key_condition("#conversation_id = :hash AND #message_id > :after");
    request.string(":after", after->to_string());
  } else {
    request.key_condition("#conversation_id = :hash");
  }
  auto answer = co_await checked_call(client_, "Query", request.take());
  ItemPage<PurgeItem> page;
  for (const auto& item : items_of(answer.body))
    page.items.push_back(read_purge(item.get_object()));
  page.more = !take_next(answer.body).empty();
  co_return page;
}

Task<bool> Rows::claim_purge(const PurgeItem& item, std::int64_t now_s, std::int64_t until_s) {
  Request request(names_.messages);
  request.message_key(purge_hash_key(item.conversation_id), item.conversation_id.to_string());
  request.update("SET #claimed_until = :until");
  request.condition(
      "attribute_exists(#conversation_id) AND "
      "(attribute_not_exists(#claimed_until) OR #claimed_until <= :now)");
  request.number(":now", now_s).number(":until", until_s);
  auto outcome = co_await conditional_call(client_, "UpdateItem", request.take_conditional());
  co_return outcome.done;
}

Task<> Rows::postpone_purge(ConversationId id, std::int64_t until_s) {
  Request request(names_.messages);
  request.message_key(purge_hash_key(id), id.to_string());
  request.update("SET #claimed_until = :until").condition("attribute_exists(#conversation_id)");
  request.number(":until", until_s);
  co_await conditional_call(client_, "UpdateItem", request.take_conditional());
}

Task<> Rows::erase_purge(ConversationId id) {
  Request request(names_.messages);
  request.message_key(purge_hash_key(id), id.to_string());
  co_await checked_call(client_, "DeleteItem", request.take());
}

}  // namespace colloquy::store::dynamodb
