#include "store/dynamodb/items.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "base/error.h"
#include "base/sha256.h"
#include "base/text.h"
#include "store/dynamodb/attributes.h"
#include "store/dynamodb/tree_attributes.h"

namespace colloquy::store::dynamodb {
namespace {

constexpr std::array kStatuses{MessageStatus::kComplete, MessageStatus::kRunning,
                               MessageStatus::kInterrupted, MessageStatus::kCancelled,
                               MessageStatus::kFailed};
constexpr std::array kReasons{FinishReason::kStop, FinishReason::kLength, FinishReason::kCancelled,
                              FinishReason::kError};
constexpr std::array<std::string_view, 3> kKeyedKinds{"conversation", "message", "turn"};

template <class Value, std::size_t kSize, class Name>
Value parse_name(const std::array<Value, kSize>& values, const std::string& text, Name name_of) {
  for (auto value : values) {
    if (name_of(value) == text) return value;
  }
  throw internal_error("an item has a value that is not known: " + text.substr(0, 32));
}

std::array<std::uint8_t, 32> parse_fingerprint(std::string_view digits) {
  std::array<std::uint8_t, 32> fingerprint{};
  auto bytes = from_hex(digits);
  if (!bytes || bytes->size() != fingerprint.size()) {
    throw internal_error("a fingerprint is garbled");
  }
  std::copy(bytes->begin(), bytes->end(), fingerprint.begin());
  return fingerprint;
}

std::size_t count_of(const AttributeReader& from, std::string_view name) {
  return static_cast<std::size_t>(std::max<std::int64_t>(from.number(name).value_or(0), 0));
}

std::optional<std::uint32_t> small_number(const AttributeReader& from, std::string_view name) {
  auto number = from.number(name);
  if (!number) return std::nullopt;
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(*number, 0, UINT32_MAX));
}

void write_pending(AttributeWriter& to, const PendingReply& reply) {
  to.uuid("reply_id", reply.id.uuid());
  to.string("owner", reply.owner);
  to.number("lease_until", reply.lease_until_s);
  if (!reply.model.empty()) to.string("reply_model", reply.model);
}

std::optional<PendingReply> read_pending(const AttributeReader& from) {
  auto id = from.id<MessageId>("reply_id");
  if (!id) return std::nullopt;
  return PendingReply{*id, from.string("owner").value_or(""),
                      from.number("lease_until").value_or(0),
                      from.string("reply_model").value_or("")};
}

}  // namespace

std::string change_slot(std::string_view change) {
  // By the last digit of an id, which is random.
  auto digit = change.empty() ? 0U : static_cast<unsigned char>(change.back());
  return "recent_" + std::to_string(digit % kChangeSlots);
}

void write_item(JsonWriter& json, const ConversationItem& item, std::string_view change) {
  const auto& conversation = item.conversation;
  json.begin_object();
  AttributeWriter to(json);
  to.string("user_id", conversation.user_id.value());
  to.uuid("conversation_id", conversation.id.uuid());
  to.string("title", conversation.title);
  to.number("created_at", conversation.created_at_s);
  to.number("updated_at", conversation.updated_at_s);
  to.number("message_count", static_cast<std::int64_t>(conversation.message_count));
  to.number("version", static_cast<std::int64_t>(conversation.version));
  if (conversation.pinned) to.boolean("pinned", true);
  if (conversation.archived) to.boolean("archived", true);
  if (!conversation.system_prompt.empty()) to.string("system_prompt", conversation.system_prompt);
  if (!conversation.metadata.empty()) to.strings("metadata", conversation.metadata);
  if (conversation.ttl_seconds) to.number("ttl_seconds", *conversation.ttl_seconds);
  if (auto removal = conversation_removal_s(conversation)) to.number("ttl", *removal);
  if (conversation.temporary) to.boolean("temporary", true);
  if (conversation.held_until_s != 0) to.number("held_until", conversation.held_until_s);
  const auto& context = conversation.context;
  if (context.messages) to.number("context_messages", *context.messages);
  if (context.tokens) to.number("context_tokens", *context.tokens);
  if (context.summary) to.boolean("context_summary", *context.summary);
  if (conversation.summary) {
    to.string("summary", conversation.summary->text);
    to.uuid("summary_up_to", conversation.summary->up_to.uuid());
    if (conversation.summary->branch != 0)
      to.number("summary_branch", conversation.summary->branch);
  }
  write_tree(to, conversation.tree);
  if (item.renewed_at_s) to.number("renewed_at", *item.renewed_at_s);
  if (item.renewed_for_s) to.number("renewed_for", *item.renewed_for_s);
  if (!item.idempotency.empty()) to.string("idempotency", item.idempotency);
  to.string(change_slot(change), change);
  json.end_object();
}

ConversationItem read_conversation(const boost::json::object& item) {
  AttributeReader from(item);
  ConversationItem read;
  auto& conversation = read.conversation;
  conversation.user_id = UserId(from.required_string("user_id"));
  conversation.id = from.required_id<ConversationId>("conversation_id");
  conversation.title = from.string("title").value_or("");
  conversation.created_at_s = from.required_number("created_at");
  conversation.updated_at_s = from.number("updated_at").value_or(conversation.created_at_s);
  // A change that was made and not yet counted may leave it below the truth, even below nothing.
  auto count = from.number("message_count").value_or(0);
  conversation.message_count = static_cast<std::uint64_t>(std::max<std::int64_t>(count, 0));
  conversation.version = static_cast<std::uint64_t>(from.number("version").value_or(0));
  conversation.pinned = from.boolean("pinned").value_or(false);
  conversation.archived = from.boolean("archived").value_or(false);
  conversation.system_prompt = from.string("system_prompt").value_or("");
  conversation.metadata = from.strings("metadata").value_or(Metadata());
  conversation.ttl_seconds = from.number("ttl_seconds");
  conversation.temporary = from.boolean("temporary").value_or(false);
  conversation.held_until_s = from.number("held_until").value_or(0);
  conversation.context.messages = small_number(from, "context_messages");
  conversation.context.tokens = small_number(from, "context_tokens");
  conversation.context.summary = from.boolean("context_summary");
  if (auto up_to = from.id<MessageId>("summary_up_to")) {
    conversation.summary = ContextSummary{from.string("summary").value_or(""), *up_to,
                                          small_number(from, "summary_branch").value_or(0)};
  }
  conversation.tree = read_tree(from);
  read.idempotency = from.string("idempotency").value_or("");
  read.renewed_at_s = from.number("renewed_at");
  read.renewed_for_s = from.number("renewed_for");
  read.removal_s = from.number("ttl");
  return read;
}

std::int64_t conversation_removal_s(std::int64_t lifetime_seconds, std::int64_t expires_at_s) {
  constexpr std::int64_t kDaySeconds = 86'400;
  return expires_at_s + 2 * lifetime_seconds + kDaySeconds;
}

std::optional<std::int64_t> conversation_removal_s(const Conversation& conversation) {
  auto expires = conversation.expires_at_s();
  if (!expires) return std::nullopt;
  return conversation_removal_s(*conversation.lifetime_seconds(), *expires);
}

bool remembers(const boost::json::object& item, std::string_view change) {
  return AttributeReader(item).string(change_slot(change)) == change;
}

std::optional<std::int64_t> removal_time_s(const std::optional<std::int64_t>& lifetime_seconds,
                                           std::int64_t active_at_s) {
  if (!lifetime_seconds) return std::nullopt;
  return active_at_s + 2 * *lifetime_seconds;
}

void write_item(JsonWriter& json, const MessageItem& item) {
  const auto& message = item.message;
  json.begin_object();
  AttributeWriter to(json);
  to.uuid("conversation_id", item.conversation_id.uuid());
  to.uuid("message_id", message.id.uuid());
  to.string("user_id", item.user_id.value());
  to.string("role", role_name(message.role));
  to.string("content", message.content);
  to.number("timestamp", message.timestamp_s);
  if (message.status != MessageStatus::kComplete) to.string("status", status_name(message.status));
  if (message.finish_reason != FinishReason::kNone) {
    to.string("finish_reason", finish_reason_name(message.finish_reason));
  }
  if (!message.metadata.empty()) to.strings("metadata", message.metadata);
  if (!message.model.empty()) to.string("model", message.model);
  if (message.usage) {
    to.number("prompt_tokens", message.usage->prompt_tokens);
    to.number("completion_tokens", message.usage->completion_tokens);
  }
  if (!message.client_message_id.empty()) to.string("client_message_id", message.client_message_id);
  if (!message.attachments.empty()) to.list("attachments", message.attachments);
  if (message.branch != 0) to.number("branch", message.branch);
  if (item.parts > 0) {
    to.number("parts", static_cast<std::int64_t>(item.parts));
    to.number("content_bytes", static_cast<std::int64_t>(item.content_bytes));
  }
  if (!item.idempotency.empty()) to.string("idempotency", item.idempotency);
  if (item.reply) write_pending(to, *item.reply);
  if (item.running) {
    to.string("owner", item.running->owner);
    to.number("lease_until", item.running->lease_until_s);
    if (item.answers) to.uuid("answers", item.answers->uuid());
  }
  if (item.ttl) to.number("ttl", *item.ttl);
  json.end_object();
}

MessageItem read_message(const boost::json::object& item) {
  AttributeReader from(item);
  MessageItem read;
  auto& message = read.message;
  read.conversation_id = from.required_id<ConversationId>("conversation_id");
  message.id = from.required_id<MessageId>("message_id");
  read.user_id = UserId(from.string("user_id").value_or(""));
  auto role = parse_role(from.required_string("role"));
  if (!role) throw internal_error("attribute role of an item is not known");
  message.role = *role;
  message.content = from.string("content").value_or("");
  message.timestamp_s = from.required_number("timestamp");
  if (auto status = from.string("status")) {
    message.status = parse_name(kStatuses, *status, status_name);
  }
  if (auto reason = from.string("finish_reason")) {
    message.finish_reason = parse_name(kReasons, *reason, finish_reason_name);
  }
  message.metadata = from.strings("metadata").value_or(Metadata());
  message.model = from.string("model").value_or("");
  if (auto prompt_tokens = from.number("prompt_tokens")) {
    message.usage = Usage{*prompt_tokens, from.number("completion_tokens").value_or(0)};
  }
  message.client_message_id = from.string("client_message_id").value_or("");
  message.attachments = from.list("attachments").value_or(Attachments());
  message.branch = small_number(from, "branch").value_or(0);
  read.parts = count_of(from, "parts");
  read.content_bytes = read.parts > 0 ? count_of(from, "content_bytes") : message.content.size();
  read.idempotency = from.string("idempotency").value_or("");
  read.reply = read_pending(from);
  if (!read.reply && message.status == MessageStatus::kRunning) {
    read.running = PendingReply{message.id, from.string("owner").value_or(""),
                                from.number("lease_until").value_or(0), message.model};
    read.answers = from.id<MessageId>("answers");
  }
  read.ttl = from.number("ttl");
  return read;
}

std::string keyed_hash_key(const UserId& user, std::string_view key) {
  auto length = std::to_string(user.value().size()) + ":";
  return "idem#" + to_hex(bytes_of(sha256({length, user.value(), key})));
}

void write_item(JsonWriter& json, const KeyedItem& item) {
  json.begin_object();
  AttributeWriter to(json);
  to.string("conversation_id", item.hash_key);
  to.string("message_id", kKeyedRange);
  to.string("kind", kKeyedKinds.at(static_cast<std::size_t>(item.kind)));
  to.string("fingerprint", to_hex(bytes_of(item.fingerprint)));
  to.number("expires_at", item.expires_at_s);
  to.number("ttl", item.expires_at_s);
  to.number("made_at", item.made_at_s);
  to.uuid("made_conversation_id", item.conversation_id.uuid());
  if (item.kind != KeyedKind::kConversation) to.uuid("made_message_id", item.message_id.uuid());
  if (item.kind == KeyedKind::kTurn) {
    to.uuid("reply_id", item.reply_id.uuid());
    to.string("owner", item.owner);
    to.number("lease_until", item.lease_until_s);
  }
  if (item.deleted) to.boolean("deleted", true);
  json.end_object();
}

KeyedItem read_keyed(const boost::json::object& item) {
  AttributeReader from(item);
  KeyedItem read;
  read.hash_key = from.required_string("conversation_id");
  auto kind = from.required_string("kind");
  std::size_t number = 0;
  while (number < kKeyedKinds.size() && kKeyedKinds.at(number) != kind) ++number;
  if (number == kKeyedKinds.size()) throw internal_error("attribute kind of an item is not known");
  read.kind = static_cast<KeyedKind>(number);
  read.fingerprint = parse_fingerprint(from.required_string("fingerprint"));
  read.expires_at_s = from.required_number("expires_at");
  read.made_at_s = from.required_number("made_at");
  read.conversation_id = from.required_id<ConversationId>("made_conversation_id");
  read.message_id = from.id<MessageId>("made_message_id").value_or(MessageId());
  read.reply_id = from.id<MessageId>("reply_id").value_or(MessageId());
  read.owner = from.string("owner").value_or("");
  read.lease_until_s = from.number("lease_until").value_or(0);
  read.deleted = from.boolean("deleted").value_or(false);
  return read;
}

std::string purge_hash_key(std::size_t shard) { return "purge#" + std::to_string(shard); }

std::string purge_hash_key(const ConversationId& id) {
  return purge_hash_key(id.uuid().bytes.back() % kPurgeShards);
}

void write_item(JsonWriter& json, const RetentionItem& item) {
  json.begin_object();
  AttributeWriter to(json);
  to.string("conversation_id", kRetentionHashKey).string("message_id", kRetentionRangeKey);
  to.number("applied", item.applied_seconds).number("applied_at", item.applied_at_s);
  to.number("target", item.target_seconds).number("claimed_until", item.claimed_until_s);
  to.number("begun_at", item.begun_at_s).number("changed_at", item.changed_at_s);
  to.number("previous", item.previous_seconds);
  if (!item.position.empty()) to.string("position", item.position);
  to.string("stamp", item.stamp);
  json.end_object();
}

RetentionItem read_retention(const boost::json::object& item) {
  AttributeReader from(item);
  RetentionItem read;
  read.applied_seconds = from.number("applied").value_or(0);
  read.applied_at_s = from.number("applied_at").value_or(0);
  read.target_seconds = from.number("target").value_or(0);
  read.begun_at_s = from.number("begun_at").value_or(0);
  read.changed_at_s = from.number("changed_at").value_or(0);
  read.previous_seconds = from.number("previous").value_or(0);
  read.position = from.string("position").value_or("");
  read.claimed_until_s = from.number("claimed_until").value_or(0);
  read.stamp = from.string("stamp").value_or("");
  return read;
}

void write_item(JsonWriter& json, const PurgeItem& item) {
  json.begin_object();
  AttributeWriter to(json);
  to.string("conversation_id", purge_hash_key(item.conversation_id));
  to.uuid("message_id", item.conversation_id.uuid());
  to.string("user_id", item.user_id.value());
  to.number("deleted_at", item.deleted_at_s);
  if (item.claimed_until_s > 0) to.number("claimed_until", item.claimed_until_s);
  if (!item.stamp.empty()) to.string("stamp", item.stamp);
  json.end_object();
}

PurgeItem read_purge(const boost::json::object& item) {
  AttributeReader from(item);
  return {from.required_id<ConversationId>("message_id"), UserId(from.required_string("user_id")),
          from.required_number("deleted_at"), from.number("claimed_until").value_or(0),
          from.string("stamp").value_or("")};
}

std::string parts_hash_key(const ConversationId& conversation, const MessageId& message) {
  return conversation.to_string() + "#" + message.to_string();
}

std::string part_range_key(std::size_t number) {
  std::array<char, 8> digits{};
  std::snprintf(digits.data(), digits.size(), "%05zu", number);
  return digits.data();
}

}  // namespace colloquy::store::dynamodb
