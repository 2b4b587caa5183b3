#include "chat/observed_store.h"

#include <boost/asio/this_coro.hpp>
#include <utility>

#include "base/error.h"

namespace colloquy::chat {
namespace {

// The conversation goes on in another branch since this message was written.
bool began_branch(const store::Conversation& conversation, const store::Message& message) {
  const auto& branches = conversation.tree.branches;
  return message.branch > 0 && message.branch <= branches.size() &&
         branches[message.branch - 1].first == message.id;
}

}  // namespace

Task<store::CreatedConversation> ObservedStore::create_conversation(
    UserId user, store::NewConversation conversation, std::optional<store::IdempotencyKey> key) {
  auto created =
      co_await store_.create_conversation(std::move(user), std::move(conversation), std::move(key));
  if (!created.replayed) {
    for (auto* observer : observers_) observer->conversation_created(created.conversation);
  }
  co_return created;
}

Task<std::optional<store::Conversation>> ObservedStore::get_conversation(UserId user,
                                                                         ConversationId id) {
  return store_.get_conversation(std::move(user), id);
}

Task<store::ConversationPage> ObservedStore::list_conversations(
    UserId user, std::size_t limit, std::optional<ConversationId> after) {
  return store_.list_conversations(std::move(user), limit, after);
}

Task<store::ActivityPage> ObservedStore::list_by_activity(
    UserId user, std::size_t limit, std::optional<store::ActivityPosition> after) {
  return store_.list_by_activity(std::move(user), limit, after);
}

Task<store::Conversation> ObservedStore::update_conversation(
    UserId user, ConversationId id, store::ConversationPatch patch,
    std::optional<std::uint64_t> if_version) {
  // A summary is nothing that a client sees of the conversation.
  bool is_seen = !patch.summary;
  auto changed =
      co_await store_.update_conversation(std::move(user), id, std::move(patch), if_version);
  if (is_seen) {
    for (auto* observer : observers_) observer->conversation_changed(changed);
  }
  co_return changed;
}

Task<> ObservedStore::delete_conversation(UserId user, ConversationId id,
                                          std::optional<std::uint64_t> if_version) {
  co_await store_.delete_conversation(user, id, if_version);
  for (auto* observer : observers_) observer->conversation_deleted(user, id);
}

Task<store::AppendedMessage> ObservedStore::append_message(
    UserId user, ConversationId id, store::NewMessage message,
    std::optional<store::IdempotencyKey> key) {
  auto appended = co_await store_.append_message(user, id, std::move(message), std::move(key));
  if (appended.replayed) co_return appended;
  for (auto* observer : observers_) observer->message_added(user, id, appended.message);
  if (appended.message.branch > 0) co_await tell_of_branch(user, id, appended.message);
  co_return appended;
}

// What was written is written, whether this can be told or not.
Task<> ObservedStore::tell_of_branch(UserId user, ConversationId id, store::Message message) {
  try {
    auto conversation = co_await store_.get_conversation(std::move(user), id);
    if (!conversation || !began_branch(*conversation, message)) co_return;
    for (auto* observer : observers_) observer->conversation_changed(*conversation);
  } catch (const Error&) {
    // Whoever follows reads the message, and with it where the conversation goes on.
  }
}

Task<std::optional<store::AppendedMessage>> ObservedStore::find_appended(
    UserId user, ConversationId id, store::IdempotencyKey key) {
  return store_.find_appended(std::move(user), id, std::move(key));
}

Task<store::MessagePage> ObservedStore::list_messages(UserId user, ConversationId id,
                                                      store::MessageRange range) {
  return store_.list_messages(std::move(user), id, range);
}

Task<> ObservedStore::recount(UserId user, ConversationId id) {
  return store_.recount(std::move(user), id);
}

Task<std::optional<store::Message>> ObservedStore::get_message(UserId user, ConversationId id,
                                                               MessageId message) {
  return store_.get_message(std::move(user), id, message);
}

Task<> ObservedStore::delete_message(UserId user, ConversationId id, MessageId message) {
  co_await store_.delete_message(user, id, message);
  for (auto* observer : observers_) observer->message_deleted(user, id, message);
}

Task<std::optional<store::RecentMessages>> ObservedStore::read_recent(
    UserId user, ConversationId id, store::ContextSettings usual,
    std::optional<store::TreePlace> up_to) {
  return store_.read_recent(std::move(user), id, usual, up_to);
}

Task<store::StartedTurn> ObservedStore::start_turn(UserId user, store::NewTurn turn,
                                                   std::optional<store::IdempotencyKey> key) {
  bool is_new = turn.new_conversation.has_value();
  bool is_new_prompt = !turn.answered;
  auto started = co_await store_.start_turn(user, std::move(turn), std::move(key));
  if (started.replayed) co_return started;
  for (auto* observer : observers_) {
    if (is_new) observer->conversation_created(started.conversation);
    if (is_new_prompt) {
      observer->message_added(user, started.conversation.id, started.prompt);
    }
    observer->message_added(user, started.conversation.id, started.reply);
    const auto& first = is_new_prompt ? started.prompt : started.reply;
    if (began_branch(started.conversation, first)) {
      observer->conversation_changed(started.conversation);
    }
  }
  co_return started;
}

Task<std::optional<store::StartedTurn>> ObservedStore::find_turn(UserId user,
                                                                 std::optional<ConversationId> id,
                                                                 store::IdempotencyKey key) {
  return store_.find_turn(std::move(user), id, std::move(key));
}

Task<store::FinishedTurn> ObservedStore::finish_turn(UserId user, ConversationId id,
                                                     store::Message reply) {
  auto finished = co_await store_.finish_turn(std::move(user), id, std::move(reply));
  auto executor = co_await boost::asio::this_coro::executor;
  for (auto* observer : observers_) {
    observer->turn_ended(executor, finished.conversation, finished.reply);
  }
  co_return finished;
}

// Followers of the answer have had this text already; others are told of its end.
Task<bool> ObservedStore::save_partial(UserId user, ConversationId id, store::Message reply) {
  return store_.save_partial(std::move(user), id, std::move(reply));
}

Task<std::optional<std::string>> ObservedStore::find_owner(UserId user, ConversationId id,
                                                           MessageId reply) {
  return store_.find_owner(std::move(user), id, reply);
}

}  // namespace colloquy::chat
