#include "store/dynamodb/message_writer.h"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <utility>

#include "base/error.h"
#include "base/side_by_side.h"

namespace colloquy::store::dynamodb {
namespace {

MessageItem message_item(const Conversation& conversation, const MessageId& id,
                         const NewMessage& from, std::int64_t now_s) {
  MessageItem item;
  item.conversation_id = conversation.id;
  item.user_id = conversation.user_id;
  auto& message = item.message;
  message.id = id;
  message.role = from.role;
  message.content = from.content;
  message.metadata = from.metadata;
  message.client_message_id = from.client_message_id;
  message.timestamp_s = now_s;
  return item;
}

}  // namespace

Task<Conversation> MessageWriter::require(UserId user, ConversationId id) {
  auto found = co_await rows_.conversation(std::move(user), id);
  if (!found || found->conversation.expired(clock_.now_s())) throw not_found();
  co_return std::move(found->conversation);
}

// Where another server's clock is ahead of ours, somewhere after the newest: not the very next,
// which a third may take at the same time, or which an answer may be waiting for.
MessageId MessageWriter::next_message_id(const std::optional<MessageId>& newest) const {
  auto id = ids_.next(clock_.now_ms());
  if (!newest || MessageId(id) > *newest) return MessageId(id);
  std::uint64_t jump = 1;
  for (std::size_t i = 10; i < 16; ++i) jump = jump << 8 | id.bytes[i];
  return MessageId(newest->uuid().advanced(1 + jump));
}

// In the order of their making, on one server.
ConversationId MessageWriter::next_conversation_id() {
  ConversationId id(ids_.next(clock_.now_ms()));
  std::scoped_lock lock(mutex_);
  if (id <= last_conversation_) id = last_conversation_.successor();
  last_conversation_ = id;
  return id;
}

// A message outlives its conversation's expiry for as long again, so that the service removes none
// from a living conversation before its time is renewed (renewer.h).
std::optional<std::int64_t> MessageWriter::removal_time(
    const std::optional<std::int64_t>& ttl_seconds, std::int64_t lease_until_s) const {
  if (!ttl_seconds) return std::nullopt;
  return std::max(clock_.now_s() + 2 * *ttl_seconds, lease_until_s + *ttl_seconds);
}

// --- keys ---

void MessageWriter::check_same(const KeyedItem& earlier, const KeyedItem& fresh,
                               const IdempotencyKey& key) {
  bool same = earlier.fingerprint == fresh.fingerprint && earlier.kind == fresh.kind;
  if (!same) throw key_reused(key);
}

Task<std::optional<KeyedItem>> MessageWriter::claim(const IdempotencyKey& key,
                                                    const KeyedItem& fresh) {
  auto earlier = co_await rows_.claim(fresh, clock_.now_s());
  if (earlier) check_same(*earlier, fresh, key);
  co_return earlier;
}

// --- conversations ---

Task<Conversation> MessageWriter::insert_conversation(const KeyedItem& made, UserId user,
                                                      const NewConversation& from,
                                                      std::int64_t held_until_s) {
  ConversationItem item;
  auto& conversation = item.conversation;
  conversation.user_id = std::move(user);
  conversation.id = made.conversation_id;
  conversation.title = from.title;
  conversation.system_prompt = from.system_prompt;
  conversation.metadata = from.metadata;
  conversation.ttl_seconds = from.ttl_seconds;
  conversation.created_at_s = made.made_at_s;
  conversation.updated_at_s = made.made_at_s;
  conversation.version = 1;
  if (from.ttl_seconds) {
    hold(conversation, held_until_s, clock_.now_s());
    item.renewed_at_s = made.made_at_s;
  }
  item.idempotency = made.hash_key;
  auto change = conversation.id.to_string();
  bool inserted = co_await rows_.insert_conversation(item, std::move(change));
  if (!inserted) {
    // Another attempt at the same request has made it.
    co_return co_await require(conversation.user_id, conversation.id);
  }
  co_return std::move(conversation);
}

Task<CreatedConversation> MessageWriter::create_conversation(UserId user,
                                                             NewConversation conversation,
                                                             std::optional<IdempotencyKey> key) {
  KeyedItem made;
  made.kind = KeyedKind::kConversation;
  made.made_at_s = clock_.now_s();
  made.conversation_id = next_conversation_id();
  bool replayed = false;
  if (key) {
    made.hash_key = keyed_hash_key(user, key->key);
    made.fingerprint = key->fingerprint;
    made.expires_at_s = key->expires_at_s;
    auto earlier = co_await claim(*key, made);
    if (earlier) {
      auto found = co_await rows_.conversation(user, earlier->conversation_id);
      if (found && found->conversation.expired(clock_.now_s())) throw result_deleted();
      if (found) co_return CreatedConversation{std::move(found->conversation), true};
      bool had_expired = conversation.ttl_seconds &&
                         earlier->made_at_s + *conversation.ttl_seconds <= clock_.now_s();
      if (earlier->deleted || had_expired) throw result_deleted();
      // Whoever came first did not get as far as writing it.
      made = std::move(*earlier);
      replayed = true;
    }
  }
  auto written = co_await insert_conversation(made, std::move(user), conversation, 0);
  co_return CreatedConversation{std::move(written), replayed};
}

// --- appended messages ---

// Under the id of `made`, which must be new, or this request's from an earlier attempt.
Task<Message> MessageWriter::insert_message(const KeyedItem& made, const Conversation& conversation,
                                            const NewMessage& from) {
  auto item = message_item(conversation, made.message_id, from, clock_.now_s());
  item.idempotency = made.hash_key;
  item.ttl = removal_time(conversation.ttl_seconds, 0);
  auto message = item.message;
  bool inserted = co_await rows_.insert_message(item, Rows::Insert::kNew);
  if (!inserted && made.hash_key.empty()) {
    throw unavailable("The message could not be given an id. Send it again.");
  }
  Touch touch;
  touch.change = message.id.to_string();
  touch.count_change = 1;
  touch.updated_at_s = message.timestamp_s;
  touch.ttl_seconds = conversation.ttl_seconds;
  auto after = co_await rows_.touch(conversation.user_id, conversation.id, std::move(touch));
  if (!after) {
    co_await rows_.erase_message(conversation.id, message.id, item.parts);
    throw not_found();
  }
  renewer_.after_activity(*after);
  co_return message;
}

Task<AppendedMessage> MessageWriter::append(UserId user, ConversationId id, NewMessage message,
                                            std::optional<IdempotencyKey> key) {
  auto both = co_await side_by_side(require(user, id), reader_.newest(id));
  auto& [conversation, newest] = both;
  KeyedItem made;
  made.kind = KeyedKind::kMessage;
  made.made_at_s = clock_.now_s();
  made.conversation_id = id;
  made.message_id = next_message_id(newest);
  bool replayed = false;
  if (key) {
    made.hash_key = keyed_hash_key(user, key->key);
    made.fingerprint = key->fingerprint;
    made.expires_at_s = key->expires_at_s;
    auto earlier = co_await claim(*key, made);
    if (earlier) {
      if (earlier->conversation_id != id) throw key_reused(*key);
      auto found = co_await reader_.find(id, earlier->message_id);
      if (found.item) co_return AppendedMessage{std::move(found.item->message), true};
      if (earlier->deleted) throw result_deleted();
      made = std::move(*earlier);
      replayed = true;
    }
  }
  auto written = co_await insert_message(made, conversation, message);
  co_return AppendedMessage{std::move(written), replayed};
}

// --- turns ---

// The prompt, whose row says that an answer is to come; nullopt when another server has written it.
Task<std::optional<StartedTurn>> MessageWriter::write_turn(const KeyedItem& made,
                                                           Conversation conversation,
                                                           const NewTurn& turn) {
  auto prompt = message_item(conversation, made.message_id, turn.prompt, clock_.now_s());
  prompt.idempotency = made.hash_key;
  prompt.reply = PendingReply{made.reply_id, made.owner, made.lease_until_s, turn.model};
  prompt.ttl = removal_time(conversation.ttl_seconds, made.lease_until_s);
  StartedTurn started;
  started.prompt = prompt.message;
  started.reply = answer_to_come(prompt, clock_.now_s()).message;
  bool inserted = co_await rows_.insert_message(prompt, Rows::Insert::kNew);
  if (!inserted && made.hash_key.empty()) {
    throw unavailable("The message could not be given an id. Send it again.");
  }
  if (!inserted) {
    auto there = co_await rows_.message(conversation.id, made.message_id);
    bool ours = there && there->reply && there->reply->owner == owner_;
    if (!ours) co_return std::nullopt;
    // Its turn may have been run, and have ended, since this request looked for it.
    auto answer = co_await reader_.find(conversation.id, made.reply_id);
    if (answer.is_written) co_return std::nullopt;
  }
  started.conversation = std::move(conversation);
  started.conversation.message_count += 2;
  started.conversation.updated_at_s = started.prompt.timestamp_s;
  co_return started;
}

Task<StartedTurn> MessageWriter::start_turn(UserId user, NewTurn turn,
                                            std::optional<IdempotencyKey> key) {
  std::optional<Conversation> conversation = std::move(turn.seen);
  std::optional<MessageId> newest = turn.newest_seen;
  if (turn.conversation_id && !conversation) {
    auto both = co_await side_by_side(require(user, *turn.conversation_id),
                                      reader_.newest(*turn.conversation_id));
    conversation = std::move(both.first);
    newest = both.second;
  }
  KeyedItem made;
  made.kind = KeyedKind::kTurn;
  made.made_at_s = clock_.now_s();
  made.conversation_id = conversation ? conversation->id : next_conversation_id();
  made.message_id = next_message_id(newest);
  made.reply_id = made.message_id.successor();
  made.owner = owner_;
  made.lease_until_s = turn.lease_until_s;
  if (key) {
    made.hash_key = keyed_hash_key(user, key->key);
    made.fingerprint = key->fingerprint;
    made.expires_at_s = key->expires_at_s;
    auto earlier = co_await claim(*key, made);
    if (earlier) {
      if (conversation && earlier->conversation_id != conversation->id) throw key_reused(*key);
      auto replayed = co_await replay_turn(user, turn.conversation_id, *earlier);
      if (replayed) co_return std::move(*replayed);
      // Whoever came first did not get as far as writing the prompt. It is this server's turn now.
      made = std::move(*earlier);
      made.owner = owner_;
      made.lease_until_s = turn.lease_until_s;
    }
  }
  if (!conversation) {
    conversation =
        co_await insert_conversation(made, user, *turn.new_conversation, made.lease_until_s);
  } else if (conversation->ttl_seconds) {
    conversation = co_await rows_.hold(user, conversation->id, made.lease_until_s, clock_.now_s());
    if (!conversation) throw not_found();
  }
  Running running{user,
                  conversation->id,
                  made.message_id,
                  made.lease_until_s,
                  conversation->ttl_seconds,
                  conversation->held_until_s == made.lease_until_s};
  bool is_first = begin_running(made.reply_id, std::move(running));
  std::optional<StartedTurn> started;
  if (is_first) {
    try {
      started = co_await write_turn(made, std::move(*conversation), turn);
    } catch (...) {
      forget_running(made.reply_id);
      throw;
    }
    if (started) co_return std::move(*started);
    forget_running(made.reply_id);
  }
  co_return co_await await_turn(std::move(user), turn.conversation_id, std::move(made));
}

// The turn of a key, which another request is about to begin at this moment.
Task<StartedTurn> MessageWriter::await_turn(UserId user, std::optional<ConversationId> named,
                                            KeyedItem made) {
  constexpr int kLooks = 100;
  constexpr auto kBetween = std::chrono::milliseconds(50);
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
  for (int look = 0; look < kLooks; ++look) {
    auto begun = co_await replay_turn(user, named, made);
    if (begun) co_return std::move(*begun);
    if (made.owner == owner_ && !is_running(made.reply_id)) break;  // it failed
    timer.expires_after(kBetween);
    co_await timer.async_wait(boost::asio::use_awaitable);
  }
  throw unavailable("The answer is being begun by another request.");
}

// What an earlier request has begun, as it is by now; nullopt when it did not get as far as that.
Task<std::optional<StartedTurn>> MessageWriter::replay_turn(UserId user,
                                                            std::optional<ConversationId> named,
                                                            const KeyedItem& earlier) {
  auto id = earlier.conversation_id;
  auto both =
      co_await side_by_side(rows_.conversation(user, id), reader_.find(id, earlier.reply_id));
  auto& [conversation, found] = both;
  if (!conversation || conversation->conversation.expired(clock_.now_s())) {
    if (named) throw not_found();
    if (earlier.deleted || conversation) throw result_deleted();
    co_return std::nullopt;
  }
  auto prompt = co_await reader_.find(id, earlier.message_id);
  // Written between the two looks.
  bool owes = prompt.item && prompt.item->reply && prompt.item->reply->id == earlier.reply_id;
  if (!found.item && owes) found = co_await reader_.find(id, earlier.reply_id);
  bool begun = found.item.has_value() || prompt.item.has_value();
  if (!begun && !earlier.deleted) co_return std::nullopt;
  // The prompt was written, but this server never learned that it was.
  bool was_given_up = found.item && found.item->running &&
                      found.item->message.status == MessageStatus::kRunning &&
                      found.item->running->owner == owner_ && !is_running(earlier.reply_id);
  if (was_given_up) co_return std::nullopt;
  if (!found.item || !prompt.item) throw result_deleted();
  StartedTurn started;
  started.conversation = std::move(conversation->conversation);
  started.prompt = std::move(prompt.item->message);
  started.reply = std::move(found.item->message);
  started.replayed = true;
  co_return started;
}

Task<std::optional<StartedTurn>> MessageWriter::find_turn(UserId user,
                                                          std::optional<ConversationId> id,
                                                          IdempotencyKey key) {
  if (id) co_await require(user, *id);
  auto earlier = co_await rows_.keyed(keyed_hash_key(user, key.key));
  if (!earlier || earlier->expires_at_s <= clock_.now_s()) co_return std::nullopt;
  bool same = earlier->fingerprint == key.fingerprint && earlier->kind == KeyedKind::kTurn &&
              (!id || earlier->conversation_id == *id);
  if (!same) throw key_reused(key);
  co_return co_await replay_turn(std::move(user), id, *earlier);
}

// False when this server runs it already.
bool MessageWriter::begin_running(const MessageId& reply, Running running) {
  std::scoped_lock lock(mutex_);
  auto now_s = clock_.now_s();
  if (now_s != swept_at_s_) {
    swept_at_s_ = now_s;
    std::erase_if(running_, [now_s](const auto& entry) {
      return entry.second.lease_until_s != 0 && entry.second.lease_until_s <= now_s;
    });
  }
  return running_.try_emplace(reply, std::move(running)).second;
}

void MessageWriter::forget_running(const MessageId& reply) {
  std::scoped_lock lock(mutex_);
  running_.erase(reply);
}

bool MessageWriter::is_running(const MessageId& reply) {
  std::scoped_lock lock(mutex_);
  return running_.contains(reply);
}

std::optional<MessageWriter::Running> MessageWriter::find_running(const UserId& user,
                                                                  const ConversationId& id,
                                                                  const MessageId& reply) {
  std::scoped_lock lock(mutex_);
  auto found = running_.find(reply);
  if (found == running_.end()) return std::nullopt;
  const auto& running = found->second;
  bool in_time = running.lease_until_s == 0 || running.lease_until_s > clock_.now_s();
  if (!in_time || running.user != user || running.conversation != id) return std::nullopt;
  return running;
}

Task<std::optional<MessageWriter::Running>> MessageWriter::look_up_turn(UserId user,
                                                                        ConversationId id,
                                                                        MessageId reply) {
  auto both = co_await side_by_side(require(user, id), reader_.find(id, reply));
  auto& [conversation, found] = both;
  if (!found.item) throw not_found();
  bool finished = found.is_written && !found.item->running;
  if (finished) co_return std::nullopt;
  Running running;
  running.user = std::move(user);
  running.conversation = id;
  running.prompt = reply.predecessor();
  running.lease_until_s = found.item->running ? found.item->running->lease_until_s : 0;
  running.ttl_seconds = conversation.ttl_seconds;
  running.holds =
      conversation.held_until_s != 0 && conversation.held_until_s == running.lease_until_s;
  co_return running;
}

// The conversation was deleted while the model answered: nothing of the turn may stay.
Task<> MessageWriter::take_back(const Running& turn, const MessageItem& reply) {
  co_await rows_.erase_message(turn.conversation, reply.message.id, reply.parts);
  co_await rows_.erase_message(turn.conversation, turn.prompt, 0);
}

Task<Conversation> MessageWriter::finish_turn(UserId user, ConversationId id, Message reply) {
  auto running = find_running(user, id, reply.id);
  if (!running) {
    running = co_await look_up_turn(user, id, reply.id);
    if (!running) co_return co_await require(std::move(user), id);
  }
  MessageItem item;
  item.message = std::move(reply);
  item.message.timestamp_s = clock_.now_s();
  item.conversation_id = id;
  item.user_id = user;
  item.ttl = removal_time(running->ttl_seconds, 0);
  auto reply_id = item.message.id;
  // Not inserted: it is there already, from an attempt before.
  co_await rows_.insert_message(item, Rows::Insert::kInPlaceOfRunning);
  Touch touch;
  touch.change = running->prompt.to_string();
  touch.count_change = 2;
  touch.updated_at_s = item.message.timestamp_s;
  touch.ttl_seconds = running->ttl_seconds;
  if (running->holds) touch.release = running->lease_until_s;
  auto after = co_await rows_.touch(user, id, std::move(touch));
  if (!after) {
    co_await take_back(*running, item);
    throw not_found();
  }
  forget_running(reply_id);
  renewer_.after_activity(*after);
  // A time to live was set while it ran.
  auto held_until_s = after->conversation.held_until_s;
  bool held = !running->holds && held_until_s != 0 && held_until_s == running->lease_until_s;
  if (held) {
    Touch release;
    release.change = reply_id.to_string();
    release.updated_at_s = clock_.now_s();
    release.ttl_seconds = after->conversation.ttl_seconds;
    release.release = running->lease_until_s;
    auto released = co_await rows_.touch(user, id, std::move(release));
    if (released) after = std::move(released);
  }
  co_return std::move(after->conversation);
}

// --- deleted messages ---

Task<> MessageWriter::delete_message(UserId user, ConversationId id, MessageId message) {
  auto both = co_await side_by_side(require(user, id), reader_.find(id, message));
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
  co_await rows_.touch(user, id, std::move(touch));
}

}  // namespace colloquy::store::dynamodb
