#include "store/dynamodb/message_writer.h"

#include <utility>

#include "base/error.h"
#include "base/side_by_side.h"

namespace colloquy::store::dynamodb {

Task<CreatedConversation> MessageWriter::create_conversation(UserId user,
                                                             NewConversation conversation,
                                                             std::optional<IdempotencyKey> key,
                                                             SealedWrites::SealingPointer sealing) {
  KeyedItem made;
  made.kind = KeyedKind::kConversation;
  made.made_at_s = clock_.now_s();
  made.conversation_id = steps_.next_conversation_id();
  bool replayed = false;
  if (key) {
    WriteSteps::set_key(made, user, *key);
    auto earlier = co_await steps_.claim(*key, made);
    if (earlier) {
      auto found = co_await rows_.conversation(user, earlier->conversation_id);
      if (found && found->conversation.expired(clock_.now_s())) throw result_deleted();
      if (found) co_return CreatedConversation{std::move(found->conversation), true};
      bool had_expired = steps_.had_expired(conversation, earlier->made_at_s);
      if (earlier->deleted || had_expired) throw result_deleted();
      // Whoever came first did not get as far as writing it.
      made = std::move(*earlier);
      replayed = true;
    }
  }
  auto written = co_await steps_.insert_conversation(made, std::move(user), conversation, 0,
                                                     std::move(sealing));
  co_return CreatedConversation{std::move(written), replayed};
}

// Under the id of `made`, which must be new, or this request's from an earlier attempt.
Task<Message> MessageWriter::insert_message(const KeyedItem& made, const Placer::Placed& placed,
                                            const NewMessage& from,
                                            SealedWrites::SealingPointer sealing) {
  const auto& conversation = placed.conversation;
  auto item = steps_.message_item(conversation, placed.branch, made.message_id, from, sealing);
  item.idempotency = made.hash_key;
  item.ttl = steps_.removal_time(conversation.lifetime_seconds(), 0);
  auto message = item.message;
  message.parent = co_await placer_.parent(placed, message.id);
  bool inserted = co_await rows_.insert_message(item, Rows::Insert::kNew);
  if (!inserted && made.hash_key.empty()) {
    throw unavailable("The message could not be given an id. Send it again.");
  }
  if (!inserted) {
    // Another server, at the same request, was first.
    auto there = co_await reader_.find(conversation.id, message.id);
    if (there.item) {
      auto parent = message.parent;
      message = std::move(there.item->message);
      message.parent = parent;
    }
  }
  Touch touch;
  touch.change = message.id.to_string();
  touch.count_change = 1;
  touch.updated_at_s = message.timestamp_s;
  touch.lifetime_seconds = conversation.lifetime_seconds();
  auto after = co_await rows_.touch(conversation.user_id, conversation.id, std::move(touch));
  if (!after) {
    co_await rows_.erase_message(conversation.id, message.id, item.parts);
    throw not_found();
  }
  renewer_.after_activity(*after);
  co_return message;
}

Task<std::optional<AppendedMessage>> MessageWriter::replay(Conversation conversation,
                                                           KeyedItem earlier, IdempotencyKey key) {
  if (earlier.conversation_id != conversation.id) throw key_reused(key);
  auto found =
      co_await reader_.find(conversation.id, earlier.message_id, MessageReader::Look::kWithOlder);
  if (!found.item && earlier.deleted) throw result_deleted();
  if (!found.item) co_return std::nullopt;
  found.item->message.parent = co_await reader_.parent(conversation, found);
  co_return AppendedMessage{std::move(found.item->message), true};
}

Task<std::optional<AppendedMessage>> MessageWriter::find_appended(UserId user, ConversationId id,
                                                                  IdempotencyKey key) {
  auto conversation = co_await steps_.require(user, id);
  auto earlier = co_await rows_.keyed(keyed_hash_key(user, key.key));
  if (!earlier || earlier->expires_at_s <= clock_.now_s()) co_return std::nullopt;
  bool same = earlier->fingerprint == key.fingerprint && earlier->kind == KeyedKind::kMessage;
  if (!same) throw key_reused(key);
  co_return co_await replay(std::move(conversation), std::move(*earlier), std::move(key));
}

Task<AppendedMessage> MessageWriter::append(UserId user, ConversationId id, NewMessage message,
                                            std::optional<IdempotencyKey> key,
                                            SealedWrites::SealingPointer sealing) {
  auto both = co_await side_by_side(steps_.require(user, id), reader_.newest(id, Path::all()));
  auto& [conversation, newest] = both;
  KeyedItem made;
  made.kind = KeyedKind::kMessage;
  made.made_at_s = clock_.now_s();
  made.conversation_id = id;
  made.message_id = steps_.next_message_id(Placer::greatest(conversation, message.place, newest));
  auto refusal = Placer::refusal(conversation, message.place, made.message_id, newest);
  co_await steps_.refuse_unless_repeat(user, key, std::move(refusal));
  bool replayed = false;
  if (key) {
    WriteSteps::set_key(made, user, *key);
    auto earlier = co_await steps_.claim(*key, made);
    if (earlier) {
      auto there = co_await replay(conversation, *earlier, *key);
      if (there) co_return std::move(*there);
      made = std::move(*earlier);
      replayed = true;
    }
  }
  auto placed =
      co_await placer_.place(std::move(conversation), message.place, made.message_id, newest);
  auto written = co_await insert_message(made, placed, message, std::move(sealing));
  co_return AppendedMessage{std::move(written), replayed};
}

Task<> MessageWriter::delete_message(UserId user, ConversationId id, MessageId message) {
  auto both = co_await side_by_side(steps_.require(user, id), reader_.find(id, message));
  auto& found = both.second;
  if (!found.item) throw not_found();
  if (found.item->message.status == MessageStatus::kRunning) {
    throw Error(ErrorCode::kConflict, "The message is an answer that is still being written.");
  }
  if (found.prompt) co_await rows_.forget_reply(id, found.prompt->message.id, message);
  if (found.item->reply) {
    // Its answer, where it has no row yet, gets one of its own.
    auto answer = co_await reader_.find(id, found.item->reply->id);
    if (answer.item && !answer.is_written) {
      answer.item->message.status = MessageStatus::kRunning;
      co_await rows_.insert_message(*answer.item, Rows::Insert::kNew);
    }
  }
  if (!found.item->idempotency.empty()) co_await rows_.mark_deleted(found.item->idempotency);
  if (found.is_written) {
    bool erased = co_await rows_.erase_message(id, message, found.item->parts);
    if (!erased) throw not_found();
  }
  Touch touch;
  touch.change = "deleted " + message.to_string();
  touch.count_change = -1;
  touch.deleted = message;
  co_await rows_.touch(user, id, std::move(touch));
}

}  // namespace colloquy::store::dynamodb
