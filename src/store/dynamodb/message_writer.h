// Writes of messages: the steps of a turn, appended and deleted messages, and what makes each safe
// to send again. Thread-safe.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "base/ids.h"
#include "base/task.h"
#include "store/dynamodb/message_reader.h"
#include "store/dynamodb/renewer.h"
#include "store/dynamodb/rows.h"
#include "store/types.h"

namespace colloquy::store::dynamodb {

class MessageWriter {
 public:
  // `owner` names this server in the answers that it runs.
  MessageWriter(Rows& rows, MessageReader& reader, Renewer& renewer, const Clock& clock,
                IdSource& ids, std::string owner)
      : rows_(rows),
        reader_(reader),
        renewer_(renewer),
        clock_(clock),
        ids_(ids),
        owner_(std::move(owner)) {}

  // As the calls of store/store.h.
  Task<CreatedConversation> create_conversation(UserId user, NewConversation conversation,
                                                std::optional<IdempotencyKey> key);
  Task<AppendedMessage> append(UserId user, ConversationId id, NewMessage message,
                               std::optional<IdempotencyKey> key);
  Task<StartedTurn> start_turn(UserId user, NewTurn turn, std::optional<IdempotencyKey> key);
  Task<std::optional<StartedTurn>> find_turn(UserId user, std::optional<ConversationId> id,
                                             IdempotencyKey key);
  Task<Conversation> finish_turn(UserId user, ConversationId id, Message reply);
  Task<> delete_message(UserId user, ConversationId id, MessageId message);

  // Not expired; kNotFound.
  Task<Conversation> require(UserId user, ConversationId id);

 private:
  // A turn that this server has begun.
  struct Running {
    UserId user;
    ConversationId conversation;
    MessageId prompt;
    std::int64_t lease_until_s = 0;
    std::optional<std::int64_t> ttl_seconds;
    bool holds = false;  // it holds the conversation's expiry off
  };

  MessageId next_message_id(const std::optional<MessageId>& newest) const;
  ConversationId next_conversation_id();
  // What stands in the record of a key; nullopt when this request has written it now.
  Task<std::optional<KeyedItem>> claim(const IdempotencyKey& key, const KeyedItem& fresh);
  static void check_same(const KeyedItem& earlier, const KeyedItem& fresh,
                         const IdempotencyKey& key);
  Task<Conversation> insert_conversation(const KeyedItem& made, UserId user,
                                         const NewConversation& from, std::int64_t held_until_s);
  Task<Message> insert_message(const KeyedItem& made, const Conversation& conversation,
                               const NewMessage& from);
  Task<std::optional<StartedTurn>> write_turn(const KeyedItem& made, Conversation conversation,
                                              const NewTurn& turn);
  Task<StartedTurn> await_turn(UserId user, std::optional<ConversationId> named, KeyedItem made);
  Task<std::optional<StartedTurn>> replay_turn(UserId user, std::optional<ConversationId> named,
                                               const KeyedItem& earlier);
  bool begin_running(const MessageId& reply, Running running);
  void forget_running(const MessageId& reply);
  bool is_running(const MessageId& reply);
  std::optional<Running> find_running(const UserId& user, const ConversationId& id,
                                      const MessageId& reply);
  // Of an answer that comes late, or twice, or from nowhere.
  Task<std::optional<Running>> look_up_turn(UserId user, ConversationId id, MessageId reply);
  Task<> take_back(const Running& turn, const MessageItem& reply);
  std::optional<std::int64_t> removal_time(const std::optional<std::int64_t>& ttl_seconds,
                                           std::int64_t lease_until_s) const;

  Rows& rows_;
  MessageReader& reader_;
  Renewer& renewer_;
  const Clock& clock_;
  IdSource& ids_;
  const std::string owner_;
  std::mutex mutex_;
  ConversationId last_conversation_;                // guarded by mutex_
  std::unordered_map<MessageId, Running> running_;  // guarded by mutex_
  std::int64_t swept_at_s_ = 0;                     // of running_; guarded by mutex_
};

}  // namespace colloquy::store::dynamodb
