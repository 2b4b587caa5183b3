// The rows of erasing users (user_eraser.h), in the table of messages: the record of an erasure
// that is under way (`erase#`, by user id), the servers that look for such records (`looking#`, by
// a name of their own), and the list of those who were erased (`erased#`, by name).
#include <algorithm>
#include <boost/json/serialize.hpp>
#include <utility>

#include "base/error.h"
#include "store/dynamodb/answers.h"
#include "store/dynamodb/attributes.h"
#include "store/dynamodb/refusals.h"
#include "store/dynamodb/rows.h"
#include "telemetry/log.h"

namespace colloquy::store::dynamodb {
namespace {

constexpr std::string_view kErasing = "erase#";
constexpr std::string_view kErased = "erased#";
constexpr std::string_view kLooking = "looking#";
// An attribute for each server: an ADD to a set would do, but this is one less type of values.
constexpr std::string_view kAcknowledged = "acknowledged_by_";
constexpr std::int64_t kAtOnce = 500;
constexpr std::int64_t kDaySeconds = 86'400;

// Attributes' names have no '-' here.
std::string acknowledged_by(std::string server) {
  std::replace(server.begin(), server.end(), '-', '_');
  return std::string(kAcknowledged) + server;
}

ErasingItem read_erasing(UserId user, const boost::json::object& item) {
  AttributeReader from(item);
  ErasingItem erasing{std::move(user),
                      from.number("begun_at").value_or(0),
                      from.number("sealed_at").value_or(0),
                      {}};
  for (const auto& [name, value] : item) {
    std::string_view attribute(name);
    if (!attribute.starts_with(kAcknowledged)) continue;
    std::string server(attribute.substr(kAcknowledged.size()));
    std::replace(server.begin(), server.end(), '_', '-');
    erasing.acknowledged.insert(std::move(server));
  }
  return erasing;
}

}  // namespace

Task<> Rows::begin_erasure(UserId user, std::int64_t now_ms) {
  Request request(names_.messages);
  request.message_key(kErasing, user.value());
  request.update("SET #begun_at = if_not_exists(#begun_at, :now)").number(":now", now_ms);
  co_await checked_call(client_, "UpdateItem", request.take());
}

Task<std::vector<boost::json::object>> Rows::records(std::string hash_key) {
  std::vector<boost::json::object> all;
  boost::json::object start;
  do {
    Request request(names_.messages);
    request.key_condition("#conversation_id = :hash").string(":hash", hash_key);
    request.set("ConsistentRead", true).set("Limit", kAtOnce);
    if (!start.empty()) request.raw("ExclusiveStartKey", boost::json::serialize(start));
    auto answer = co_await checked_call(client_, "Query", request.take());
    for (const auto& item : items_of(answer.body)) all.push_back(item.get_object());
    start = take_next(answer.body);
  } while (!start.empty());
  co_return all;
}

Task<std::vector<ErasingItem>> Rows::erasures() {
  std::vector<ErasingItem> all;
  const auto rows = co_await records(std::string(kErasing));
  all.reserve(rows.size());
  for (const auto& row : rows) {
    all.push_back(read_erasing(UserId(AttributeReader(row).required_string("message_id")), row));
  }
  co_return all;
}

Task<> Rows::put_looking(std::string server, std::int64_t until_s,
                         std::optional<std::chrono::milliseconds> timeout) {
  Request request(names_.messages);
  request.message_key(kLooking, server);
  request.update("SET #expires_at = :until, #ttl = :ttl");
  request.number(":until", until_s).number(":ttl", until_s + kDaySeconds);
  CallOptions options;
  options.timeout = timeout;
  options.after_last_write = true;
  co_await checked_call(client_, "UpdateItem", request.take(), options);
}

Task<> Rows::erase_looking(std::string server) {
  Request request(names_.messages);
  request.message_key(kLooking, server);
  CallOptions options;
  options.after_last_write = true;
  co_await checked_call(client_, "DeleteItem", request.take(), options);
}

Task<std::set<std::string>> Rows::all_looking(std::int64_t now_s) {
  std::set<std::string> servers;
  const auto rows = co_await records(std::string(kLooking));
  for (const auto& row : rows) {
    AttributeReader from(row);
    if (from.number("expires_at").value_or(0) <= now_s) continue;
    servers.insert(from.required_string("message_id"));
  }
  co_return servers;
}

Task<> Rows::acknowledge_erasure(UserId user, std::int64_t begun_at_ms, std::string server) {
  Request request(names_.messages);
  request.message_key(kErasing, user.value());
  request.update("SET #" + acknowledged_by(std::move(server)) + " = :acknowledged");
  request.condition("#begun_at = :begun_at");
  request.boolean(":acknowledged", true).number(":begun_at", begun_at_ms);
  co_await conditional_call(client_, "UpdateItem", request.take_conditional());
}

Task<std::optional<ErasingItem>> Rows::claim_erasure(UserId user, std::int64_t begun_at_ms,
                                                     std::string owner, std::int64_t now_s,
                                                     std::int64_t until_s) {
  Request request(names_.messages);
  request.message_key(kErasing, user.value());
  request.update("SET #owner = :owner, #claimed_until = :until");
  request.condition(
      "#begun_at = :begun_at AND (attribute_not_exists(#owner) OR #owner = :owner OR "
      "#claimed_until <= :now)");
  request.number(":begun_at", begun_at_ms);
  request.string(":owner", owner).number(":until", until_s).number(":now", now_s);
  request.set("ReturnValues", "ALL_NEW");
  auto outcome = co_await conditional_call(client_, "UpdateItem", request.take_conditional());
  if (!outcome.done) co_return std::nullopt;
  co_return read_erasing(std::move(user), outcome.attributes);
}

Task<std::optional<std::int64_t>> Rows::seal_erasure(UserId user, std::int64_t begun_at_ms,
                                                     std::string owner, std::int64_t now_ms) {
  Request request(names_.messages);
  request.message_key(kErasing, user.value());
  request.update("SET #sealed_at = if_not_exists(#sealed_at, :now)").number(":now", now_ms);
  request.condition("#owner = :owner AND #begun_at = :begun_at");
  request.string(":owner", owner).number(":begun_at", begun_at_ms);
  request.set("ReturnValues", "ALL_NEW");
  auto outcome = co_await conditional_call(client_, "UpdateItem", request.take_conditional());
  if (!outcome.done) co_return std::nullopt;
  co_return AttributeReader(outcome.attributes).required_number("sealed_at");
}

Task<> Rows::end_erasure(UserId user, std::string owner, ErasedUser erased) {
  const auto at_ms = erased.at_ms;
  // The list first: it is no harm to be on it before the record is gone.
  co_await note_erased(std::move(erased));
  Request request(names_.messages);
  request.message_key(kErasing, user.value());
  request.condition("#owner = :owner AND #sealed_at = :at");
  request.string(":owner", owner).number(":at", at_ms);
  auto outcome = co_await conditional_call(client_, "DeleteItem", request.take_conditional());
  bool gone = outcome.done || (outcome.after_lost_answer && outcome.there.empty());
  if (!gone) throw unavailable("Another server is erasing this user.");
}

Task<> Rows::note_erased(ErasedUser erased) {
  Request request(names_.messages);
  request.message_key(kErased, erased.user_sha256);
  request.update("SET #erased_at = :at").number(":at", erased.at_ms);
  request.condition("attribute_not_exists(#erased_at) OR #erased_at < :at");
  co_await conditional_call(client_, "UpdateItem", request.take_conditional());
}

Task<std::vector<ErasedUser>> Rows::erased_users(std::string after) {
  Request request(names_.messages);
  request.string(":hash", kErased).set("Limit", kAtOnce).set("ConsistentRead", true);
  if (after.empty()) {
    request.key_condition("#conversation_id = :hash");
  } else {
    request.key_condition("#conversation_id = :hash AND #message_id > :after");
    request.string(":after", after);
  }
  auto answer = co_await checked_call(client_, "Query", request.take());
  std::vector<ErasedUser> users;
  for (const auto& item : items_of(answer.body)) {
    AttributeReader from(item.get_object());
    users.push_back({from.required_string("message_id"), from.required_number("erased_at")});
  }
  co_return users;
}

Task<std::vector<Rows::ConversationKey>> Rows::conversation_keys(UserId user, std::size_t limit) {
  std::vector<ConversationKey> keys;
  boost::json::object start;
  do {
    Request request(names_.conversations);
    request.key_condition("#user_id = :user").string(":user", user.value());
    request.projection("#user_id, #conversation_id, #idempotency").set("ConsistentRead", true);
    request.set("Limit", static_cast<std::int64_t>(limit - keys.size()));
    if (!start.empty()) request.raw("ExclusiveStartKey", boost::json::serialize(start));
    auto answer = co_await checked_call(client_, "Query", request.take());
    for (const auto& item : items_of(answer.body)) {
      AttributeReader from(item.get_object());
      auto text = from.string("conversation_id").value_or("");
      auto id = ConversationId::parse(text);
      if (id) {
        keys.push_back({*id, from.readable_string("idempotency").value_or("")});
      } else {
        telemetry::log_error("store.damaged_row", {{"conversation_id", text}});
      }
    }
    start = take_next(answer.body);
  } while (!start.empty() && keys.size() < limit);
  co_return keys;
}

Task<> Rows::erase_keyed(std::string hash_key) {
  Request request(names_.messages);
  request.message_key(hash_key, kKeyedRange);
  co_await checked_call(client_, "DeleteItem", request.take());
}

}  // namespace colloquy::store::dynamodb
