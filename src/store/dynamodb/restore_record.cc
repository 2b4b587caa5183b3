#include "store/dynamodb/restore_record.h"

#include <utility>

#include "store/dynamodb/attributes.h"
#include "store/dynamodb/refusals.h"
#include "store/dynamodb/request.h"

namespace colloquy::store::dynamodb {
namespace {

constexpr std::string_view kHash = "restore#";
constexpr std::string_view kRange = "state";

boost::json::object item_in(const boost::json::object& answer) {
  const auto* item = answer.if_contains("Item");
  return item != nullptr && item->is_object() ? item->get_object() : boost::json::object();
}

std::uint64_t count(const AttributeReader& from, std::string_view name) {
  return static_cast<std::uint64_t>(from.number(name).value_or(0));
}

void write_item(JsonWriter& json, const std::string& table, const RestoreRecord& record) {
  auto number = [](std::uint64_t value) { return static_cast<std::int64_t>(value); };
  json.begin_object();
  AttributeWriter to(json);
  to.string("conversation_id", kHash).string("message_id", kRange);
  to.string("table", table).number("at", record.at_s);
  to.boolean("keep_expired", record.keep_expired).boolean("done", record.done);
  to.boolean("looked_through", record.looked_through);
  if (!record.position.empty()) to.string("position", record.position);
  to.number("erased_users", number(record.erased_users));
  to.number("conversations", number(record.conversations));
  to.number("left_out", number(record.left_out)).number("kept", number(record.kept));
  to.string("stamp", record.stamp);
  json.end_object();
}

}  // namespace

std::string restore_record_body(const std::string& table) {
  Request request(table);
  request.message_key(kHash, kRange).set("ConsistentRead", true);
  return request.take();
}

RestoreState restore_state(const boost::json::object& answer, const std::string& table) {
  auto item = item_in(answer);
  if (item.empty()) return RestoreState::kNone;
  AttributeReader from(item);
  if (from.string("table") != table) return RestoreState::kNone;
  return from.boolean("done").value_or(false) ? RestoreState::kDone : RestoreState::kBegun;
}

Task<RestoreRecord> read_restore_record(Client& client, TableNames names, std::int64_t at_s) {
  auto answer = co_await checked_call(client, "GetItem", restore_record_body(names.messages));
  auto item = item_in(answer.body);
  RestoreRecord record;
  if (item.empty()) co_return record;
  AttributeReader from(item);
  record.stamp = from.required_string("stamp");
  if (from.string("table") != names.messages || from.number("at") != at_s) co_return record;
  record.at_s = at_s;
  record.keep_expired = from.boolean("keep_expired").value_or(false);
  record.done = from.boolean("done").value_or(false);
  record.looked_through = from.boolean("looked_through").value_or(false);
  record.position = from.string("position").value_or("");
  record.erased_users = count(from, "erased_users");
  record.conversations = count(from, "conversations");
  record.left_out = count(from, "left_out");
  record.kept = count(from, "kept");
  co_return record;
}

Task<bool> replace_restore_record(Client& client, TableNames names, RestoreRecord record,
                                  std::string before) {
  Request request(names.messages);
  request.item([&](JsonWriter& json) { write_item(json, names.messages, record); });
  if (before.empty()) {
    request.condition("attribute_not_exists(#conversation_id)");
  } else {
    request.condition("#stamp = :before").string(":before", before);
  }
  auto outcome = co_await conditional_call(client, "PutItem", request.take_conditional());
  if (outcome.done) co_return true;
  co_return !outcome.there.empty() &&
      AttributeReader(outcome.there).string("stamp") == record.stamp;
}

}  // namespace colloquy::store::dynamodb
