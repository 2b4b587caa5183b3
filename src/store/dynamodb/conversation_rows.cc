// The rows of conversations.
#include <algorithm>
#include <boost/json/serialize.hpp>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/pause.h"
#include "store/dynamodb/answers.h"
#include "store/dynamodb/attributes.h"
#include "store/dynamodb/refusals.h"
#include "store/dynamodb/rows.h"
#include "store/dynamodb/tree_attributes.h"

namespace colloquy::store::dynamodb {
namespace {

constexpr std::size_t kKeysAtOnce = 100;  // of a BatchGetItem: the service's bound

// What a slot holds, among others, of a change whose messages a mended count has in it already. No
// change's own name has a plus in it.
std::string counted(const std::string& change) { return "+" + change; }

bool has_counted(const boost::json::object& item, const std::string& change) {
  auto slot = AttributeReader(item).string(change_slot(change));
  return slot && slot->find(counted(change)) != std::string::npos;
}

// What the attributes of a tree are set to, or compared with: `:branches` and so on.
void write_tree_values(Request& request, const BranchTable& tree, const std::string& prefix = {}) {
  if (!tree.plain()) request.binary(":" + prefix + "branches", branch_bytes(tree));
  if (tree.active != 0) request.number(":" + prefix + "active_branch", tree.active);
  if (tree.active_up_to) {
    request.string(":" + prefix + "active_up_to", tree.active_up_to->to_string());
  }
}

// Adds what activity at this time changes: the time, and the removal of the conversation where its
// lifetime is what the caller takes it for.
void write_activity(Request& request, const Touch& touch,
                    const std::optional<std::int64_t>& retention_seconds, std::string& set,
                    std::string& remove, std::string& condition) {
  set += ", #updated_at = :updated";
  request.number(":updated", *touch.updated_at_s);
  const auto& lifetime = touch.lifetime_seconds;
  if (!lifetime || lifetime == retention_seconds) {
    condition += " AND (attribute_not_exists(#ttl_seconds)";
    condition += lifetime ? " OR #ttl_seconds = :lifetime)" : ")";
  } else {
    condition += " AND #ttl_seconds = :lifetime";
  }
  if (lifetime) request.number(":lifetime", *lifetime);
  if (touch.removal == Touch::Removal::kPending) {
    // Less than nothing, by the version that this update makes: as it never was before.
    set += ", #renewed_at = :minus_one - if_not_exists(#version, :zero)";
    request.number(":minus_one", -1);
    remove += ", #ttl";
  } else if (!lifetime) {
    remove += ", #ttl";  // of a retention that has been taken off
  } else if (touch.removal == Touch::Removal::kMoved) {
    set += ", #ttl = :ttl";
    request.number(":ttl", conversation_removal_s(*lifetime, *touch.updated_at_s + *lifetime));
    condition += " AND (attribute_not_exists(#renewed_at) OR #renewed_at > :zero)";
  }
}

}  // namespace

ConversationItem Rows::read(const boost::json::object& item) const {
  auto row = read_conversation(item);
  row.conversation.retention_seconds = retention_seconds_;
  return row;
}

Task<std::optional<ConversationItem>> Rows::conversation(UserId user, ConversationId id) {
  Request request(names_.conversations);
  request.conversation_key(user, id).set("ConsistentRead", true);
  auto item = co_await get(request.take());
  if (!item) co_return std::nullopt;
  co_return read(*item);
}

Task<ItemPage<ConversationItem>> Rows::conversations(UserId user,
                                                     std::optional<ConversationId> before,
                                                     std::size_t limit) {
  ItemPage<ConversationItem> page;
  boost::json::object start;
  do {
    Request request(names_.conversations);
    request.string(":user", user.value());
    if (before) {
      request.key_condition("#user_id = :user AND #conversation_id < :before");
      request.string(":before", before->to_string());
    } else {
      request.key_condition("#user_id = :user");
    }
    request.set("ScanIndexForward", false).set("ConsistentRead", true);
    request.set("Limit", static_cast<std::int64_t>(limit - page.items.size()));
    if (!start.empty()) request.raw("ExclusiveStartKey", boost::json::serialize(start));
    auto answer = co_await checked_call(client_, "Query", request.take());
    for (const auto& item : items_of(answer.body)) {
      page.items.push_back(read(item.get_object()));
    }
    start = take_next(answer.body);
  } while (!start.empty() && page.items.size() < limit);
  page.more = !start.empty();
  co_return page;
}

// At most limits::kPageMax + 1 of them.
Task<std::map<ConversationId, ConversationItem>> Rows::conversations_of(
    UserId user, std::vector<ConversationId> ids) {
  std::map<ConversationId, ConversationItem> found;
  std::string keys;
  auto take_keys = [&ids, &user, &keys] {
    auto count = std::min(ids.size(), kKeysAtOnce);
    keys.clear();
    JsonWriter json(keys);
    json.begin_array();
    for (std::size_t i = 0; i < count; ++i) {
      json.begin_object();
      AttributeWriter(json).string("user_id", user.value()).uuid("conversation_id", ids[i].uuid());
      json.end_object();
    }
    json.end_array();
    ids.erase(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(count));
  };
  int tries = 0;
  while (!keys.empty() || !ids.empty()) {
    if (keys.empty()) take_keys();
    std::string body;
    JsonWriter json(body);
    json.begin_object().key("ReturnConsumedCapacity").string("INDEXES");
    json.key("RequestItems").begin_object().key(names_.conversations).begin_object();
    json.key("ConsistentRead").boolean(true).key("Keys").raw(keys);
    json.end_object().end_object().end_object();
    auto answer = co_await checked_call(client_, "BatchGetItem", std::move(body));
    for (const auto& item : batch_items_of(answer.body, names_.conversations)) {
      auto row = read(item.get_object());
      found.insert_or_assign(row.conversation.id, std::move(row));
    }
    keys = unprocessed_keys(answer.body, names_.conversations);
    if (keys.empty()) continue;
    if (++tries == kBatchTries) throw unavailable("The tables are too busy right now.");
    co_await pause(batch_delay(tries));
  }
  co_return found;
}

Task<Rows::ActivityRows> Rows::conversations_by_activity(UserId user,
                                                         std::optional<ActivityPosition> after,
                                                         std::size_t limit) {
  Request request(names_.conversations);
  request.set("IndexName", "UserUpdatedIndex").set("ScanIndexForward", false);
  request.key_condition("#user_id = :user").string(":user", user.value());
  request.set("Limit", static_cast<std::int64_t>(limit));
  if (after) {
    std::string start;
    JsonWriter json(start);
    json.begin_object();
    AttributeWriter(json)
        .string("user_id", user.value())
        .uuid("conversation_id", after->id.uuid())
        .number("updated_at", after->updated_at_s);
    json.end_object();
    request.raw("ExclusiveStartKey", start);
  }
  auto answer = co_await checked_call(client_, "Query", request.take());
  std::vector<ConversationId> ids;
  ActivityRows rows;
  for (const auto& item : items_of(answer.body)) {
    ids.push_back(
        AttributeReader(item.get_object()).required_id<ConversationId>("conversation_id"));
  }
  auto next = take_next(answer.body);
  if (!next.empty()) {
    AttributeReader from(next);
    rows.next = ActivityPosition{from.required_number("updated_at"),
                                 from.required_id<ConversationId>("conversation_id")};
  }
  auto found = co_await conversations_of(std::move(user), ids);
  for (const auto& id : ids) {
    auto item = found.find(id);
    if (item != found.end()) rows.items.push_back(std::move(item->second));
  }
  co_return rows;
}

Task<bool> Rows::insert_conversation(const ConversationItem& item, std::string change) {
  Request request(names_.conversations);
  request.item([&](JsonWriter& json) { write_item(json, item, change); });
  request.condition("attribute_not_exists(#conversation_id)");
  auto outcome = co_await conditional_call(client_, "PutItem", request.take_conditional());
  co_return outcome.done || remembers(outcome.there, change);
}

Task<std::optional<ConversationItem>> Rows::touch(UserId user, ConversationId id, Touch touch) {
  auto slot = change_slot(touch.change);
  Request request(names_.conversations);
  request.conversation_key(user, id);
  std::string update =
      "SET #message_count = if_not_exists(#message_count, :zero) + :count, "
      "#version = if_not_exists(#version, :zero) + :one";
  std::string condition = "attribute_exists(#conversation_id)";
  if (!touch.counted) {
    update += ", #" + slot + " = :change";
    condition += " AND (attribute_not_exists(#" + slot + ") OR (#" + slot +
                 " <> :change AND NOT contains(#" + slot + ", :counted)))";
    request.string(":change", touch.change).string(":counted", counted(touch.change));
  }
  std::string remove;
  if (touch.updated_at_s) {
    write_activity(request, touch, retention_seconds_, update, remove, condition);
  }
  if (touch.release) {
    remove += ", #held_until";
    condition += " AND #held_until = :lease";
    request.number(":lease", *touch.release);
  } else if (touch.drops_summary) {
    remove += ", #summary, #summary_up_to, #summary_branch";
  } else if (touch.deleted) {
    condition += " AND (attribute_not_exists(#summary_up_to) OR #summary_up_to < :deleted)";
    request.string(":deleted", touch.deleted->to_string());
  }
  if (!remove.empty()) update += " REMOVE " + remove.substr(2);
  request.update(update).condition(condition);
  request.number(":zero", 0).number(":one", 1).number(":count", touch.count_change);
  request.set("ReturnValues", "ALL_NEW");
  auto outcome = co_await conditional_call(client_, "UpdateItem", request.take_conditional());
  if (outcome.done) co_return read(outcome.attributes);
  if (outcome.there.empty()) co_return std::nullopt;
  if (!touch.counted && remembers(outcome.there, touch.change)) {
    co_return read(outcome.there);
  }
  auto there = read(outcome.there);
  auto lifetime = there.conversation.lifetime_seconds();
  if (touch.updated_at_s && lifetime != touch.lifetime_seconds) {
    co_await put_purge(user, id, *touch.updated_at_s);
    touch.lifetime_seconds = lifetime;
    touch.removal = Touch::Removal::kPending;
  } else if (touch.updated_at_s && there.removals_pending() &&
             touch.removal == Touch::Removal::kMoved) {
    touch.removal = Touch::Removal::kLeft;
  } else if (!touch.counted && has_counted(outcome.there, touch.change)) {
    touch.counted = true;
    touch.count_change = 0;
  } else if (touch.release) {
    touch.release.reset();  // held by another turn beside ours
  } else if (touch.deleted && !touch.drops_summary) {
    touch.drops_summary = true;
  } else {
    throw internal_error("a condition failed that holds");
  }
  co_return co_await this->touch(std::move(user), id, std::move(touch));
}

Task<std::optional<Conversation>> Rows::hold(UserId user, ConversationId id,
                                             std::int64_t lease_until_s, std::int64_t now_s) {
  constexpr int kTries = 16;
  auto found = co_await conversation(user, id);
  for (int tries = 0; found && tries < kTries; ++tries) {
    auto held = found->conversation;
    auto before = held.held_until_s;
    store::hold(held, lease_until_s, now_s);
    held.updated_at_s = now_s;
    Request request(names_.conversations);
    request.conversation_key(user, id);
    std::string update = "SET #held_until = :until, #updated_at = :updated";
    std::string condition = "attribute_exists(#conversation_id) AND ";
    auto removal = conversation_removal_s(held);
    if (!removal) {
      update += " REMOVE #ttl";
    } else if (!found->removals_pending()) {
      update += ", #ttl = :ttl";
      request.number(":ttl", *removal).number(":zero", 0);
      condition += "(attribute_not_exists(#renewed_at) OR #renewed_at > :zero) AND ";
    }
    request.update(update).number(":updated", now_s);
    condition += before == 0 ? "attribute_not_exists(#held_until)" : "#held_until = :before";
    if (before != 0) request.number(":before", before);
    request.condition(condition).number(":until", held.held_until_s);
    auto outcome = co_await conditional_call(client_, "UpdateItem", request.take_conditional());
    if (outcome.done) co_return held;
    if (outcome.there.empty()) co_return std::nullopt;
    found = read(outcome.there);
    // An answer was lost, and it had been done.
    if (outcome.after_lost_answer && found->conversation.held_until_s == held.held_until_s) {
      co_return found->conversation;
    }
  }
  if (!found) co_return std::nullopt;
  throw unavailable("The conversation is being changed too often right now.");
}

Task<bool> Rows::replace_conversation(const ConversationItem& item, const Conversation& before,
                                      std::string change) {
  Request request(names_.conversations);
  const auto& conversation = item.conversation;
  request.conversation_key(conversation.user_id, conversation.id);
  auto slot = change_slot(change);
  std::string set =
      "SET #title = :title, #updated_at = :updated, #version = :version, #" + slot + " = :change";
  std::string remove;
  auto set_or_remove = [&](bool there, const std::string& name) {
    if (there) {
      set += ", #" + name + " = :" + name;
    } else {
      remove += (remove.empty() ? " REMOVE #" : ", #") + name;
    }
  };
  set_or_remove(conversation.pinned, "pinned");
  set_or_remove(conversation.archived, "archived");
  set_or_remove(!conversation.system_prompt.empty(), "system_prompt");
  set_or_remove(!conversation.metadata.empty(), "metadata");
  set_or_remove(conversation.ttl_seconds.has_value(), "ttl_seconds");
  bool pending = item.removals_pending();
  auto removal = pending ? std::nullopt : conversation_removal_s(conversation);
  set_or_remove(removal.has_value(), "ttl");
  if (pending) set_or_remove(true, "renewed_at");
  set_or_remove(conversation.temporary, "temporary");
  set_or_remove(conversation.held_until_s != 0, "held_until");
  const auto& context = conversation.context;
  set_or_remove(context.messages.has_value(), "context_messages");
  set_or_remove(context.tokens.has_value(), "context_tokens");
  set_or_remove(context.summary.has_value(), "context_summary");
  set_or_remove(conversation.summary.has_value(), "summary");
  set_or_remove(conversation.summary.has_value(), "summary_up_to");
  bool summary_of_branch = conversation.summary && conversation.summary->branch != 0;
  set_or_remove(summary_of_branch, "summary_branch");
  const auto& tree = conversation.tree;
  set_or_remove(!tree.plain(), "branches");
  set_or_remove(tree.active != 0, "active_branch");
  set_or_remove(tree.active_up_to.has_value(), "active_up_to");
  request.update(set + remove);
  std::string condition = "attribute_exists(#conversation_id) AND ";
  condition += before.version == 0 ? "(attribute_not_exists(#version) OR #version = :old)"
                                   : "#version = :old";
  condition += before.held_until_s == 0 ? " AND attribute_not_exists(#held_until)"
                                        : " AND #held_until = :held_before";
  if (before.held_until_s != 0) request.number(":held_before", before.held_until_s);
  request.condition(condition);
  request.string(":title", conversation.title).number(":updated", conversation.updated_at_s);
  request.number(":version", static_cast<std::int64_t>(conversation.version));
  request.number(":old", static_cast<std::int64_t>(before.version)).string(":change", change);
  if (conversation.pinned) request.boolean(":pinned", true);
  if (conversation.archived) request.boolean(":archived", true);
  if (!conversation.system_prompt.empty()) {
    request.string(":system_prompt", conversation.system_prompt);
  }
  if (!conversation.metadata.empty()) request.strings(":metadata", conversation.metadata);
  if (conversation.held_until_s != 0) request.number(":held_until", conversation.held_until_s);
  if (pending) request.number(":renewed_at", *item.renewed_at_s);
  if (context.messages) request.number(":context_messages", *context.messages);
  if (context.tokens) request.number(":context_tokens", *context.tokens);
  if (context.summary) request.boolean(":context_summary", *context.summary);
  if (conversation.summary) {
    request.string(":summary", conversation.summary->text);
    request.string(":summary_up_to", conversation.summary->up_to.to_string());
  }
  if (summary_of_branch) request.number(":summary_branch", conversation.summary->branch);
  write_tree_values(request, tree);
  if (conversation.ttl_seconds) request.number(":ttl_seconds", *conversation.ttl_seconds);
  if (removal) request.number(":ttl", *removal);
  if (conversation.temporary) request.boolean(":temporary", true);
  auto outcome = co_await conditional_call(client_, "UpdateItem", request.take_conditional());
  co_return outcome.done || remembers(outcome.there, change);
}

// Touches of the conversation by others leave the branches alone, and are no reason to begin anew.
Task<Rows::TreeChange> Rows::replace_tree(const Conversation& before, const BranchTable& tree) {
  Request request(names_.conversations);
  request.conversation_key(before.user_id, before.id);
  std::string set = "SET #version = if_not_exists(#version, :zero) + :one";
  std::string remove;
  std::string condition = "attribute_exists(#conversation_id)";
  auto change = [&](const std::string& name, bool was, bool is) {
    condition +=
        was ? " AND #" + name + " = :old_" + name : " AND attribute_not_exists(#" + name + ")";
    if (is) {
      set += ", #" + name + " = :" + name;
    } else if (was) {
      remove += (remove.empty() ? " REMOVE #" : ", #") + name;
    }
  };
  const auto& old = before.tree;
  change("branches", !old.plain(), !tree.plain());
  change("active_branch", old.active != 0, tree.active != 0);
  change("active_up_to", old.active_up_to.has_value(), tree.active_up_to.has_value());
  request.update(set + remove).condition(condition);
  request.number(":zero", 0).number(":one", 1);
  write_tree_values(request, tree);
  write_tree_values(request, old, "old_");
  request.set("ReturnValues", "ALL_NEW");
  auto outcome = co_await conditional_call(client_, "UpdateItem", request.take_conditional());
  const auto& item = outcome.done ? outcome.attributes : outcome.there;
  TreeChange changed;
  if (item.empty()) co_return changed;
  changed.there = read(item).conversation;
  changed.done = outcome.done || (outcome.after_lost_answer && changed.there->tree == tree);
  co_return changed;
}

Task<bool> Rows::mend(const Conversation& mended, std::vector<std::string> changes) {
  Request request(names_.conversations);
  request.conversation_key(mended.user_id, mended.id);
  std::string update = "SET #message_count = :count, #version = :version";
  std::map<std::string, std::string> slots;
  for (const auto& change : changes) slots[change_slot(change)] += counted(change);
  for (const auto& [slot, names] : slots) {
    update += ", #" + slot + " = :" + slot;
    request.string(":" + slot, names);
  }
  request.update(update).condition("attribute_exists(#conversation_id) AND #version = :before");
  request.number(":count", static_cast<std::int64_t>(mended.message_count));
  request.number(":version", static_cast<std::int64_t>(mended.version));
  request.number(":before", static_cast<std::int64_t>(mended.version) - 1);
  auto outcome = co_await conditional_call(client_, "UpdateItem", request.take_conditional());
  co_return outcome.done;
}

Task<bool> Rows::erase_conversation(UserId user, ConversationId id,
                                    std::optional<std::uint64_t> if_version) {
  Request request(names_.conversations);
  request.conversation_key(user, id);
  std::string condition = "attribute_exists(#conversation_id)";
  if (if_version) {
    // One that says nothing of it has the version 0.
    condition += *if_version == 0 ? " AND (attribute_not_exists(#version) OR #version = :version)"
                                  : " AND #version = :version";
    request.number(":version", static_cast<std::int64_t>(*if_version));
  }
  request.condition(condition);
  auto outcome = co_await conditional_call(client_, "DeleteItem", request.take_conditional());
  // Gone after an answer that was lost: that was ours.
  co_return outcome.done || (outcome.after_lost_answer && outcome.there.empty());
}

}  // namespace colloquy::store::dynamodb
