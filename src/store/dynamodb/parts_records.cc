#include "store/dynamodb/parts_records.h"

#include <utility>

#include "base/error.h"
#include "base/json_writer.h"
#include "store/dynamodb/answers.h"
#include "store/dynamodb/attributes.h"
#include "store/dynamodb/batch_write.h"
#include "store/dynamodb/refusals.h"
#include "store/dynamodb/request.h"
#include "telemetry/log.h"

namespace colloquy::store::dynamodb {
namespace {

constexpr std::string_view kHash = "parts#";
constexpr std::int64_t kAtOnce = 100;
constexpr std::int64_t kOverSeconds = 86'400;

std::string range_of(const PartsRecord& record) {
  return parts_hash_key(record.conversation_id, record.message_id);
}

// nullopt, and logged, where it cannot be.
std::optional<PartsRecord> read_record(const boost::json::object& item) {
  AttributeReader from(item);
  auto range = from.string("message_id").value_or("");
  auto middle = range.find('#');
  auto conversation = ConversationId::parse(range.substr(0, middle));
  std::optional<MessageId> message;
  if (middle != std::string::npos) message = MessageId::parse(range.substr(middle + 1));
  auto parts = from.readable_number("parts");
  if (!conversation || !message || !parts || *parts < 0) {
    telemetry::log_error("store.damaged_row", {{"conversation_id", kHash}, {"message_id", range}});
    return std::nullopt;
  }
  PartsRecord record;
  record.conversation_id = *conversation;
  record.message_id = *message;
  record.user_id = UserId(from.readable_string("user_id").value_or(""));
  record.parts = static_cast<std::size_t>(*parts);
  record.seen_at_s = from.readable_number("seen_at");
  return record;
}

}  // namespace

Task<> PartsRecords::put(PartsRecord record) {
  Request request(names_.messages);
  request.item([&](JsonWriter& json) {
    json.begin_object();
    AttributeWriter to(json);
    to.string("conversation_id", kHash).string("message_id", range_of(record));
    to.string("user_id", record.user_id.value());
    to.number("parts", static_cast<std::int64_t>(record.parts));
    json.end_object();
  });
  co_await checked_call(client_, "PutItem", request.take());
}

Task<> PartsRecords::erase(ConversationId conversation, MessageId message) {
  Request request(names_.messages);
  request.message_key(kHash, parts_hash_key(conversation, message));
  co_await checked_call(client_, "DeleteItem", request.take());
}

Task<PartsRecords::Page> PartsRecords::page(std::string after) {
  Request request(names_.messages);
  request.string(":hash", kHash).set("Limit", kAtOnce);
  if (after.empty()) {
    request.key_condition("#conversation_id = :hash");
  } else {
    request.key_condition("#conversation_id = :hash AND #message_id > :after");
    request.string(":after", after);
  }
  request.set("ConsistentRead", true);
  auto answer = co_await checked_call(client_, "Query", request.take());
  Page page;
  for (const auto& item : items_of(answer.body)) {
    auto record = read_record(item.get_object());
    if (record) page.records.push_back(std::move(*record));
  }
  auto next = take_next(answer.body);
  if (!next.empty()) page.next = AttributeReader(next).required_string("message_id");
  co_return page;
}

Task<> PartsRecords::mark_seen(const PartsRecord& record, std::int64_t now_s) {
  Request request(names_.messages);
  request.message_key(kHash, range_of(record));
  request.update("SET #seen_at = :now").number(":now", now_s);
  request.condition("attribute_exists(#conversation_id) AND attribute_not_exists(#seen_at)");
  co_await conditional_call(client_, "UpdateItem", request.take_conditional());
}

// Erases the parts past those that a message names, and the record.
Task<> PartsRecords::finish(PartsRecord record, std::size_t named) {
  std::vector<std::string> keys;
  for (auto part = named; part < record.parts; ++part) {
    JsonWriter json(keys.emplace_back());
    json.begin_object();
    AttributeWriter to(json);
    to.string("conversation_id", range_of(record)).string("message_id", part_range_key(part));
    json.end_object();
  }
  co_await erase_rows(client_, names_.messages, std::move(keys));
  co_await erase(record.conversation_id, record.message_id);
}

Task<> PartsRecords::sweep(std::int64_t now_s) {
  Rows rows(client_, names_);
  std::string after;
  do {
    auto found = co_await page(std::move(after));
    for (auto& record : found.records) {
      if (!record.seen_at_s) {
        co_await mark_seen(record, now_s);
      } else if (*record.seen_at_s + kOverSeconds <= now_s) {
        auto head = co_await rows.message(record.conversation_id, record.message_id);
        auto named = head ? head->parts : 0;
        co_await finish(std::move(record), named);
      }
    }
    after = std::move(found.next);
  } while (!after.empty());
}

Task<bool> PartsRecords::erase_of(std::function<bool(const UserId&)> whose) {
  bool some = false;
  std::string after;
  do {
    auto found = co_await page(std::move(after));
    for (auto& record : found.records) {
      if (!whose(record.user_id)) continue;
      co_await finish(std::move(record), 0);
      some = true;
    }
    after = std::move(found.next);
  } while (!after.empty());
  co_return some;
}

}  // namespace colloquy::store::dynamodb
