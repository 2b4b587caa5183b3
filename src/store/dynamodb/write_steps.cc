#include "store/dynamodb/write_steps.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace colloquy::store::dynamodb {

bool must_hold(const Conversation& conversation, std::int64_t lease_until_s) {
  if (conversation.ttl_seconds) return true;
  auto expires = conversation.expires_at_s();
  return expires && *expires <= lease_until_s;
}

Task<Conversation> WriteSteps::require(UserId user, ConversationId id) {
  auto found = co_await rows_.conversation(std::move(user), id);
  if (!found || found->conversation.expired(clock_.now_s())) throw not_found();
  co_return std::move(found->conversation);
}

// Where another server's clock is ahead of ours, somewhere after the newest: not the very next,
// which a third may take at the same time, or which an answer may be waiting for.
MessageId WriteSteps::next_message_id(const std::optional<MessageId>& newest) const {
  auto id = ids_.next(clock_.now_ms());
  if (!newest || MessageId(id) > *newest) return MessageId(id);
  std::uint64_t jump = 1;
  for (std::size_t i = 10; i < 16; ++i) jump = jump << 8 | id.bytes[i];
  return MessageId(newest->uuid().advanced(1 + jump));
}

// In the order of their making, on one server.
ConversationId WriteSteps::next_conversation_id() {
  ConversationId id(ids_.next(clock_.now_ms()));
  std::scoped_lock lock(mutex_);
  if (id <= last_conversation_) id = last_conversation_.successor();
  last_conversation_ = id;
  return id;
}

std::optional<std::int64_t> WriteSteps::removal_time(
    const std::optional<std::int64_t>& lifetime_seconds, std::int64_t lease_until_s) const {
  auto usual = removal_time_s(lifetime_seconds, clock_.now_s());
  if (!usual) return std::nullopt;
  return std::max(*usual, lease_until_s + *lifetime_seconds);
}

bool WriteSteps::had_expired(const NewConversation& from, std::int64_t made_at_s) const {
  auto lifetime = from.ttl_seconds ? from.ttl_seconds : rows_.retention_seconds();
  return lifetime && made_at_s + *lifetime <= clock_.now_s();
}

Task<std::optional<KeyedItem>> WriteSteps::claim(const IdempotencyKey& key,
                                                 const KeyedItem& fresh) {
  auto earlier = co_await rows_.claim(fresh, clock_.now_s());
  if (earlier && (earlier->fingerprint != fresh.fingerprint || earlier->kind != fresh.kind)) {
    throw key_reused(key);
  }
  co_return earlier;
}

void WriteSteps::set_key(KeyedItem& made, const UserId& user, const IdempotencyKey& key) {
  made.hash_key = keyed_hash_key(user, key.key);
  made.fingerprint = key.fingerprint;
  made.expires_at_s = key.expires_at_s;
}

Task<Conversation> WriteSteps::insert_conversation(const KeyedItem& made, UserId user,
                                                   const NewConversation& from,
                                                   std::int64_t held_until_s,
                                                   SealedWrites::SealingPointer sealing) {
  ConversationItem item;
  auto& conversation = item.conversation;
  conversation.user_id = std::move(user);
  conversation.id = made.conversation_id;
  conversation.title = from.title;
  conversation.system_prompt = from.system_prompt;
  conversation.metadata = from.metadata;
  conversation.ttl_seconds = from.ttl_seconds;
  conversation.retention_seconds = rows_.retention_seconds();
  conversation.temporary = from.temporary && from.ttl_seconds;
  conversation.context = from.context;
  conversation.created_at_s = made.made_at_s;
  conversation.updated_at_s = made.made_at_s;
  conversation.version = 1;
  if (must_hold(conversation, held_until_s)) hold(conversation, held_until_s, clock_.now_s());
  if (auto lifetime = conversation.lifetime_seconds()) {
    item.renewed_at_s = made.made_at_s;
    item.renewed_for_s = lifetime;
  }
  item.idempotency = made.hash_key;
  if (sealing) sealing->seal(conversation);
  auto change = conversation.id.to_string();
  bool inserted = co_await rows_.insert_conversation(item, std::move(change));
  if (!inserted) {
    // Another attempt at the same request has made it.
    co_return co_await require(conversation.user_id, conversation.id);
  }
  co_return std::move(conversation);
}

Task<> WriteSteps::refuse_unless_repeat(UserId user, std::optional<IdempotencyKey> key,
                                        std::optional<Error> refusal) {
  if (!refusal) co_return;
  if (!key) throw std::move(*refusal);
  auto earlier = co_await rows_.keyed(keyed_hash_key(user, key->key));
  bool repeats = earlier && earlier->expires_at_s > clock_.now_s();
  if (!repeats) throw std::move(*refusal);
}

MessageItem WriteSteps::message_item(const Conversation& conversation, std::uint32_t branch,
                                     const MessageId& id, const NewMessage& from,
                                     const SealedWrites::SealingPointer& sealing) const {
  MessageItem item;
  item.conversation_id = conversation.id;
  item.user_id = conversation.user_id;
  auto& message = item.message;
  message.id = id;
  message.role = from.role;
  message.content = from.content;
  message.metadata = from.metadata;
  message.client_message_id = from.client_message_id;
  message.attachments = from.attachments;
  message.branch = branch;
  message.timestamp_s = clock_.now_s();
  if (sealing) sealing->seal(conversation.id, message);
  return item;
}

}  // namespace colloquy::store::dynamodb
