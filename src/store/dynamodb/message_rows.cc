// The rows of messages, and the parts of those that are too long for one item.
#include <algorithm>
#include <boost/json/serialize.hpp>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "store/dynamodb/answers.h"
#include "store/dynamodb/attributes.h"
#include "store/dynamodb/batch_write.h"
#include "store/dynamodb/parts_records.h"
#include "store/dynamodb/refusals.h"
#include "store/dynamodb/rows.h"
#include "telemetry/log.h"

namespace colloquy::store::dynamodb {
namespace {

constexpr std::int64_t kErasedAtOnce = 500;

// How much of `text` goes into one part: whole characters.
std::size_t part_size(std::string_view text) {
  auto size = cut_utf8(text, Rows::kPartBytes).size();
  return size == 0 ? std::min(text.size(), Rows::kPartBytes) : size;
}

// No part is more than a character shorter than it may be.
std::size_t parts_most(std::string_view text) {
  constexpr std::size_t kCharacterBytes = 4;
  return text.size() / (Rows::kPartBytes - kCharacterBytes) + 1;
}

std::string range_condition(Request& request, const Rows::MessageQuery& query) {
  std::string condition = "#conversation_id = :conversation";
  request.string(":conversation", query.conversation.to_string());
  if (query.from) request.string(":from", query.from->to_string());
  if (query.to) request.string(":to", query.to->to_string());
  if (query.from && query.to) return condition + " AND #message_id BETWEEN :from AND :to";
  if (query.from) return condition + " AND #message_id >= :from";
  if (query.to) return condition + " AND #message_id <= :to";
  return condition;
}

// The message is there: a record that stays is no reason to refuse it, and goes with a sweep.
Task<> forget_parts(PartsRecords& records, const MessageItem& item) {
  try {
    co_await records.erase(item.conversation_id, item.message.id);
  } catch (const Error& error) {
    telemetry::log_debug("store.parts_record_left", {{"message_id", item.message.id.to_string()},
                                                     {"error", error.message()},
                                                     {"detail", error.detail()}});
  }
}

}  // namespace

Task<Rows::MessageRows> Rows::messages(MessageQuery query) {
  Request request(names_.messages);
  request.key_condition(range_condition(request, query));
  request.set("ScanIndexForward", !query.newest_first).set("ConsistentRead", true);
  request.set("Limit", static_cast<std::int64_t>(query.limit));
  if (!query.start.empty()) {
    request.raw("ExclusiveStartKey", boost::json::serialize(query.start));
  }
  auto answer = co_await checked_call(client_, "Query", request.take());
  MessageRows rows;
  for (const auto& item : items_of(answer.body))
    rows.items.push_back(read_message(item.get_object()));
  rows.next = take_next(answer.body);
  co_return rows;
}

Task<std::optional<MessageItem>> Rows::message(ConversationId conversation, MessageId id) {
  Request request(names_.messages);
  request.message_key(conversation.to_string(), id.to_string()).set("ConsistentRead", true);
  auto item = co_await get(request.take());
  if (!item) co_return std::nullopt;
  co_return read_message(*item);
}

// Moves the content into parts of its own, all of them before the item that names them.
Task<> Rows::write_parts(MessageItem& item) {
  std::string content = std::move(item.message.content);
  item.message.content.clear();
  item.content_bytes = content.size();
  auto hash = parts_hash_key(item.conversation_id, item.message.id);
  std::string_view rest(content);
  for (item.parts = 0; !rest.empty(); ++item.parts) {
    auto size = part_size(rest);
    Request request(names_.messages);
    auto range = part_range_key(item.parts);
    request.item([&](JsonWriter& json) {
      json.begin_object();
      AttributeWriter to(json);
      to.string("conversation_id", hash).string("message_id", range);
      to.string("content", rest.substr(0, size));
      if (item.ttl) to.number("ttl", *item.ttl);
      json.end_object();
    });
    co_await checked_call(client_, "PutItem", request.take());
    rest.remove_prefix(size);
  }
}

Task<bool> Rows::insert_message(MessageItem& item, Insert how) {
  PartsRecords records(client_, names_);
  bool is_long = item.message.content.size() > kPartBytes;
  if (is_long) {
    PartsRecord record;
    record.conversation_id = item.conversation_id;
    record.message_id = item.message.id;
    record.user_id = item.user_id;
    record.parts = parts_most(item.message.content);
    co_await records.put(std::move(record));
    co_await write_parts(item);
  }
  Request request(names_.messages);
  request.item([&](JsonWriter& json) { write_item(json, item); });
  if (how == Insert::kNew) {
    request.condition("attribute_not_exists(#message_id)");
  } else {
    request.condition("attribute_not_exists(#message_id) OR #status = :running");
    request.string(":running", status_name(MessageStatus::kRunning));
  }
  auto outcome = co_await conditional_call(client_, "PutItem", request.take_conditional());
  if (is_long && outcome.done) co_await forget_parts(records, item);
  if (outcome.done || !outcome.after_lost_answer) co_return outcome.done;
  // Ids are random: after an answer that was lost, what is there is what was sent. But two servers
  // may be at the turn of one key.
  if (outcome.there.empty()) co_return true;
  auto there = read_message(outcome.there);
  co_return (!item.reply || there.reply == item.reply) &&
      (!item.running || there.running == item.running);
}

Task<> Rows::put_messages(std::vector<MessageItem> items) {
  std::vector<std::string> rows;
  rows.reserve(items.size());
  for (const auto& item : items) {
    JsonWriter json(rows.emplace_back());
    write_item(json, item);
  }
  co_await put_rows(client_, names_.messages, std::move(rows));
}

Task<bool> Rows::read_parts(MessageItem& item) {
  if (item.parts == 0) co_return true;
  auto hash = parts_hash_key(item.conversation_id, item.message.id);
  std::string content;
  content.reserve(item.content_bytes);
  std::size_t parts = 0;
  boost::json::object start;
  do {
    Request request(names_.messages);
    request.key_condition("#conversation_id = :hash").string(":hash", hash);
    request.set("ConsistentRead", true);
    if (!start.empty()) request.raw("ExclusiveStartKey", boost::json::serialize(start));
    auto answer = co_await checked_call(client_, "Query", request.take());
    for (const auto& part : items_of(answer.body)) {
      if (parts == item.parts) break;
      content += AttributeReader(part.get_object()).required_string("content");
      ++parts;
    }
    start = take_next(answer.body);
  } while (!start.empty() && parts < item.parts);
  if (parts != item.parts || content.size() != item.content_bytes) {
    auto head = co_await message(item.conversation_id, item.message.id);
    if (!head) co_return false;
    // A purge takes the parts before the heads, and the conversation before either.
    auto there = co_await conversation(item.user_id, item.conversation_id);
    if (!there) co_return false;
    throw internal_error("a message's parts are not all there: " + hash);
  }
  item.message.content = std::move(content);
  co_return true;
}

Task<bool> Rows::forget_reply(ConversationId conversation, MessageId prompt, MessageId reply) {
  Request request(names_.messages);
  request.message_key(conversation.to_string(), prompt.to_string());
  request.update("REMOVE #reply_id, #owner, #lease_until, #reply_model");
  request.condition("#reply_id = :reply").string(":reply", reply.to_string());
  auto outcome = co_await conditional_call(client_, "UpdateItem", request.take_conditional());
  co_return outcome.done || outcome.after_lost_answer;
}

Task<bool> Rows::erase_message(ConversationId conversation, MessageId id, std::size_t parts) {
  Request request(names_.messages);
  request.message_key(conversation.to_string(), id.to_string());
  request.condition("attribute_exists(#message_id)");
  auto outcome = co_await conditional_call(client_, "DeleteItem", request.take_conditional());
  std::vector<Row> rows;
  auto hash = parts_hash_key(conversation, id);
  for (std::size_t i = 0; i < parts; ++i) rows.push_back({hash, part_range_key(i)});
  co_await erase_all(rows);
  co_return outcome.done || outcome.after_lost_answer;
}

Task<> Rows::erase_all(const std::vector<Row>& rows) {
  std::vector<std::string> keys;
  keys.reserve(rows.size());
  for (const auto& row : rows) {
    JsonWriter json(keys.emplace_back());
    json.begin_object();
    AttributeWriter(json).string("conversation_id", row.hash).string("message_id", row.range);
    json.end_object();
  }
  return erase_rows(client_, names_.messages, std::move(keys));
}

Task<> Rows::set_removal_of(Row row, std::optional<std::int64_t> ttl) {
  Request request(names_.messages);
  request.message_key(row.hash, row.range);
  if (ttl) {
    request.update("SET #ttl = :ttl").number(":ttl", *ttl);
  } else {
    request.update("REMOVE #ttl");
  }
  request.condition("attribute_exists(#message_id)");
  co_await conditional_call(client_, "UpdateItem", request.take_conditional());
}

Task<> Rows::set_removal(const MessageItem& item, std::optional<std::int64_t> ttl) {
  auto conversation = item.conversation_id;
  auto id = item.message.id;
  auto hash = parts_hash_key(conversation, id);
  for (std::size_t i = 0; i < item.parts; ++i) {
    Row part{hash, part_range_key(i)};
    co_await set_removal_of(std::move(part), ttl);
  }
  Row head{conversation.to_string(), id.to_string()};
  co_await set_removal_of(std::move(head), ttl);
}

Task<std::size_t> Rows::erase_some_messages(ConversationId id, Keys keys) {
  Request request(names_.messages);
  request.key_condition("#conversation_id = :hash").string(":hash", id.to_string());
  request.projection("#message_id, #parts, #idempotency");
  request.set("ConsistentRead", true).set("Limit", kErasedAtOnce);
  auto answer = co_await checked_call(client_, "Query", request.take());
  std::vector<Row> parts;
  std::vector<Row> heads;
  std::set<std::string> made_by;
  for (const auto& item : items_of(answer.body)) {
    AttributeReader from(item.get_object());
    heads.push_back({id.to_string(), from.required_string("message_id")});
    auto message = MessageId::parse(heads.back().range);
    auto hash = message ? parts_hash_key(id, *message) : std::string();
    for (std::int64_t i = 0; message && i < from.readable_number("parts").value_or(0); ++i) {
      parts.push_back({hash, part_range_key(static_cast<std::size_t>(i))});
    }
    auto keyed = keys == Keys::kErased ? from.readable_string("idempotency") : std::nullopt;
    // A turn's two messages have one.
    if (keyed && !keyed->empty()) made_by.insert(std::move(*keyed));
  }
  for (const auto& hash : made_by) parts.push_back({hash, std::string(kKeyedRange)});
  auto count = heads.size();
  co_await erase_all(parts);
  co_await erase_all(heads);
  co_return count;
}

}  // namespace colloquy::store::dynamodb
