// The rows of what keeps the service's removal of what has expired right.
#include <algorithm>
#include <utility>

#include "base/error.h"
#include "store/dynamodb/answers.h"
#include "store/dynamodb/attributes.h"
#include "store/dynamodb/refusals.h"
#include "store/dynamodb/rows.h"
#include "store/dynamodb/scan.h"
#include "telemetry/log.h"

namespace colloquy::store::dynamodb {

namespace {

// Adds that `name` is `value`, or is not there.
void require_value(Request& request, std::string& condition, const std::string& name,
                   const std::optional<std::int64_t>& value) {
  condition += value ? " AND #" + name + " = :" + name : " AND attribute_not_exists(#" + name + ")";
  if (value) request.number(":" + name, *value);
}

// Adds that its expiry is as it was read.
void require_expiry(Request& request, std::string& condition, const Conversation& read) {
  condition += " AND #updated_at = :updated_at";
  request.number(":updated_at", read.updated_at_s);
  std::optional<std::int64_t> held;
  if (read.held_until_s != 0) held = read.held_until_s;
  require_value(request, condition, "ttl_seconds", read.ttl_seconds);
  require_value(request, condition, "held_until", held);
}

}  // namespace

Task<Rows::Renewal> Rows::claim_renewal(UserId user, ConversationId id, std::int64_t now_s,
                                        std::int64_t until_s) {
  Request request(names_.conversations);
  request.conversation_key(user, id);
  request.claim("renewing_until", now_s, until_s);
  auto outcome = co_await conditional_call(client_, "UpdateItem", request.take_conditional());
  if (outcome.done) co_return Renewal::kOurs;
  if (outcome.there.empty()) co_return Renewal::kGone;
  auto there = AttributeReader(outcome.there).number("renewing_until");
  bool ours = outcome.after_lost_answer && there == until_s;
  co_return ours ? Renewal::kOurs : Renewal::kAnothers;
}

Task<bool> Rows::move_renewal(UserId user, ConversationId id, std::int64_t from_s,
                              std::optional<std::int64_t> until_s) {
  Request request(names_.conversations);
  request.conversation_key(user, id);
  request.condition("#renewing_until = :from").number(":from", from_s);
  if (until_s) {
    request.update("SET #renewing_until = :until").number(":until", *until_s);
  } else {
    request.update("REMOVE #renewing_until");
  }
  auto outcome = co_await conditional_call(client_, "UpdateItem", request.take_conditional());
  if (outcome.done) co_return true;
  auto there = AttributeReader(outcome.there).number("renewing_until");
  co_return outcome.after_lost_answer&& there == until_s;
}

Task<bool> Rows::end_renewal(ConversationItem item, std::int64_t claimed_until_s,
                             std::optional<std::int64_t> renewed_at_s) {
  constexpr int kTries = 16;  // beside activity
  for (int tries = 0; tries < kTries; ++tries) {
    const auto& conversation = item.conversation;
    Request request(names_.conversations);
    request.conversation_key(conversation.user_id, conversation.id);
    auto lifetime = conversation.lifetime_seconds();
    if (renewed_at_s && lifetime) {
      request.update(
          "SET #renewed_at = :at, #renewed_for = :for, #ttl = :ttl REMOVE #renewing_until");
      request.number(":at", *renewed_at_s).number(":for", *lifetime);
      auto last_s = std::max(*renewed_at_s, *conversation.expires_at_s());
      request.number(":ttl", conversation_removal_s(*lifetime, last_s));
    } else {
      request.update("REMOVE #renewing_until, #renewed_at, #renewed_for, #ttl");
    }
    std::string condition = "#renewing_until = :claimed";
    request.number(":claimed", claimed_until_s);
    require_expiry(request, condition, conversation);
    require_value(request, condition, "renewed_at", item.renewed_at_s);
    request.condition(condition);
    auto outcome = co_await conditional_call(client_, "UpdateItem", request.take_conditional());
    if (outcome.done || outcome.there.empty()) co_return true;
    auto claim = AttributeReader(outcome.there).number("renewing_until");
    if (!claim) co_return outcome.after_lost_answer;
    auto there = read(outcome.there);
    bool the_same = claim == claimed_until_s && there.renewed_at_s == item.renewed_at_s &&
                    there.conversation.ttl_seconds == conversation.ttl_seconds;
    if (!the_same) co_return false;
    item = std::move(there);
  }
  co_return false;
}

Task<bool> Rows::erase_unchanged(const Conversation& read) {
  Request request(names_.conversations);
  request.conversation_key(read.user_id, read.id);
  std::string condition = "attribute_exists(#conversation_id)";
  require_expiry(request, condition, read);
  request.condition(condition);
  auto outcome = co_await conditional_call(client_, "DeleteItem", request.take_conditional());
  co_return outcome.done || (outcome.after_lost_answer && outcome.there.empty());
}

Task<std::optional<RetentionItem>> Rows::retention() {
  Request request(names_.messages);
  request.message_key(kRetentionHashKey, kRetentionRangeKey).set("ConsistentRead", true);
  auto item = co_await get(request.take());
  if (!item) co_return std::nullopt;
  co_return read_retention(*item);
}

Task<bool> Rows::replace_retention(RetentionItem item, std::string before) {
  Request request(names_.messages);
  request.item([&](JsonWriter& json) { write_item(json, item); });
  if (before.empty()) {
    request.condition("attribute_not_exists(#conversation_id)");
  } else {
    request.condition("#stamp = :before").string(":before", before);
  }
  auto outcome = co_await conditional_call(client_, "PutItem", request.take_conditional());
  if (outcome.done) co_return true;
  bool ours = !outcome.there.empty() && read_retention(outcome.there).stamp == item.stamp;
  co_return ours;
}

Task<Rows::ConversationRows> Rows::all_conversations(std::string position, std::int64_t limit) {
  auto page = co_await scan_rows(client_, names_.conversations, std::move(position), limit);
  ConversationRows rows;
  rows.rows = page.items.size();
  rows.next = std::move(page.next);
  for (const auto& item : page.items) {
    // Another program's, such as the source system's, has ids of another kind.
    auto id = AttributeReader(item).string("conversation_id").value_or("");
    if (!ConversationId::parse(id)) continue;
    try {
      rows.items.push_back(read(item));
    } catch (const Error& error) {
      telemetry::log_error(
          "store.damaged_row",
          {{"conversation_id", id}, {"error", error.message()}, {"detail", error.detail()}});
    }
  }
  co_return rows;
}

}  // namespace colloquy::store::dynamodb
