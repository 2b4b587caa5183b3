// What is written into conversations: messages, turns, whole conversations that are taken back.
#include <chrono>
#include <utility>

#include "base/error.h"
#include "base/pause.h"
#include "store/encrypted/encrypted_store.h"
#include "store/encrypted/sealed_records.h"
#include "store/encrypted/turns_of_work.h"

namespace colloquy::store {

namespace {

// What was written is as it was given.
void restore_texts(Message& message, NewMessage&& given) {
  message.content = std::move(given.content);
  message.metadata = std::move(given.metadata);
  message.client_message_id = std::move(given.client_message_id);
  message.attachments = std::move(given.attachments);
}

}  // namespace

bool EncryptedStore::is_new(const TextSealer& sealer) const {
  return clock_.now_s() - sealer.key().made_at_s() <= limits::kIdempotencySeconds;
}

Task<AppendedMessage> EncryptedStore::opened(UserId user, ConversationId id,
                                             AppendedMessage appended) {
  std::vector<Message*> one{&appended.message};
  co_await open_all(std::move(user), id, {}, std::move(one));
  co_return appended;
}

Task<StartedTurn> EncryptedStore::opened(UserId user, StartedTurn started) {
  auto id = started.conversation.id;
  std::vector<Conversation*> conversation{&started.conversation};
  std::vector<Message*> messages{&started.prompt, &started.reply};
  co_await open_all(std::move(user), id, std::move(conversation), std::move(messages));
  co_return started;
}

Task<AppendedMessage> EncryptedStore::append_message(UserId user, ConversationId id,
                                                     NewMessage message,
                                                     std::optional<IdempotencyKey> key) {
  auto sealer = co_await sealer_for(user);
  if (key && is_new(sealer)) {
    auto earlier = co_await store_.find_appended(user, id, *key);
    if (earlier) co_return co_await opened(std::move(user), id, std::move(*earlier));
  }
  if (key) key = sealed(sealer, std::move(*key));
  auto given = message;
  auto appended = co_await writes_.append_sealed(user, id, std::move(message), std::move(key),
                                                 make_sealing(std::move(sealer)));
  if (!appended.replayed) {
    restore_texts(appended.message, std::move(given));
    co_return appended;
  }
  co_return co_await opened(std::move(user), id, std::move(appended));
}

Task<std::optional<AppendedMessage>> EncryptedStore::find_appended(UserId user, ConversationId id,
                                                                   IdempotencyKey key) {
  auto sealer = co_await find_sealer(user);
  std::optional<AppendedMessage> found;
  if (sealer) found = co_await store_.find_appended(user, id, sealed(*sealer, key));
  if (!found && (!sealer || is_new(*sealer))) {
    found = co_await store_.find_appended(user, id, std::move(key));
  }
  if (!found) co_return std::nullopt;
  co_return co_await opened(std::move(user), id, std::move(*found));
}

// What was read of the conversation and of the message that is answered serves the store for its
// answer alone: it is nothing that it writes.
Task<StartedTurn> EncryptedStore::start_turn(UserId user, NewTurn turn,
                                             std::optional<IdempotencyKey> key) {
  auto sealer = co_await sealer_for(user);
  if (key && is_new(sealer)) {
    auto earlier = co_await store_.find_turn(user, turn.conversation_id, *key);
    if (earlier) co_return co_await opened(std::move(user), std::move(*earlier));
  }
  if (key) key = sealed(sealer, std::move(*key));
  bool has_prompt = !turn.answered;
  auto given = turn.prompt;
  auto started = co_await writes_.start_sealed(user, std::move(turn), std::move(key),
                                               make_sealing(std::move(sealer)));
  auto id = started.conversation.id;
  std::vector<Conversation*> conversation{&started.conversation};
  std::vector<Message*> messages{&started.reply};
  if (has_prompt && !started.replayed) {
    restore_texts(started.prompt, std::move(given));
  } else {
    messages.push_back(&started.prompt);
  }
  co_await open_all(std::move(user), id, std::move(conversation), std::move(messages));
  co_return started;
}

Task<std::optional<StartedTurn>> EncryptedStore::find_turn(UserId user,
                                                           std::optional<ConversationId> id,
                                                           IdempotencyKey key) {
  auto sealer = co_await find_sealer(user);
  std::optional<StartedTurn> found;
  if (sealer) found = co_await store_.find_turn(user, id, sealed(*sealer, key));
  if (!found && (!sealer || is_new(*sealer))) {
    found = co_await store_.find_turn(user, id, std::move(key));
  }
  if (!found) co_return std::nullopt;
  co_return co_await opened(std::move(user), std::move(*found));
}

// A user who was erased has no conversation, and gets no key by what is still being answered there.
Task<std::optional<TextSealer>> EncryptedStore::sealer_for_answer(UserId user, ConversationId id) {
  auto sealer = co_await find_sealer(user);
  if (sealer) co_return sealer;
  auto there = co_await store_.get_conversation(user, id);
  if (!there) co_return std::nullopt;
  co_return co_await sealer_for(std::move(user));
}

Task<FinishedTurn> EncryptedStore::finish_turn(UserId user, ConversationId id, Message reply) {
  auto sealer = co_await sealer_for_answer(user, id);
  if (!sealer) throw not_found();
  seal(*sealer, id, reply);
  auto finished = co_await store_.finish_turn(user, id, std::move(reply));
  std::vector<Conversation*> conversation{&finished.conversation};
  std::vector<Message*> message{&finished.reply};
  co_await open_all(std::move(user), id, std::move(conversation), std::move(message));
  co_return finished;
}

Task<bool> EncryptedStore::save_partial(UserId user, ConversationId id, Message reply) {
  auto sealer = co_await sealer_for_answer(user, id);
  if (!sealer) co_return false;
  seal(*sealer, id, reply);
  co_return co_await store_.save_partial(std::move(user), id, std::move(reply));
}

Task<bool> EncryptedStore::take(Conversation conversation, std::vector<Message> messages) {
  auto sealer = co_await sealer_for(conversation.user_id);
  seal(sealer, conversation);
  TurnsOfWork turns;
  for (auto& message : messages) {
    if (turns.over(message)) co_await pause(std::chrono::milliseconds(0));
    seal(sealer, conversation.id, message);
  }
  co_return co_await intake_.take(std::move(conversation), std::move(messages));
}

}  // namespace colloquy::store
