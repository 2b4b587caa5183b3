// A store in memory, as plain as can be: what the real ones are compared with.
//
// Thread-safe by one lock. Nothing survives it.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "base/clock.h"
#include "store/store.h"

namespace colloquy::store {

class ModelStore : public Store {
 public:
  // `counts_at_once`: whether a conversation's time shows a turn from its start, else from its end
  // (its count always shows it from the start).
  ModelStore(Clock& clock, IdSource& ids, bool counts_at_once = true)
      : clock_(clock), ids_(ids), counts_at_once_(counts_at_once) {}

  // The next new conversation and messages get these ids instead of ones of its own, so that two
  // stores can be compared. Empty: its own.
  void use_ids(std::optional<ConversationId> conversation, std::vector<MessageId> messages);

  Task<CreatedConversation> create_conversation(UserId user, NewConversation conversation,
                                                std::optional<IdempotencyKey> key) override;
  Task<std::optional<Conversation>> get_conversation(UserId user, ConversationId id) override;
  Task<ConversationPage> list_conversations(UserId user, std::size_t limit,
                                            std::optional<ConversationId> after) override;
  Task<Conversation> update_conversation(UserId user, ConversationId id, ConversationPatch patch,
                                         std::optional<std::uint64_t> if_version) override;
  Task<> delete_conversation(UserId user, ConversationId id,
                             std::optional<std::uint64_t> if_version) override;
  Task<AppendedMessage> append_message(UserId user, ConversationId id, NewMessage message,
                                       std::optional<IdempotencyKey> key) override;
  Task<std::optional<AppendedMessage>> find_appended(UserId user, ConversationId id,
                                                     IdempotencyKey key) override;
  Task<MessagePage> list_messages(UserId user, ConversationId id, MessageRange range) override;
  Task<std::optional<Message>> get_message(UserId user, ConversationId id,
                                           MessageId message) override;
  Task<> delete_message(UserId user, ConversationId id, MessageId message) override;
  Task<std::optional<RecentMessages>> read_recent(UserId user, ConversationId id,
                                                  ContextSettings usual,
                                                  std::optional<TreePlace> up_to) override;
  Task<StartedTurn> start_turn(UserId user, NewTurn turn,
                               std::optional<IdempotencyKey> key) override;
  Task<std::optional<StartedTurn>> find_turn(UserId user, std::optional<ConversationId> id,
                                             IdempotencyKey key) override;
  Task<FinishedTurn> finish_turn(UserId user, ConversationId id, Message reply) override;
  Task<bool> save_partial(UserId user, ConversationId id, Message reply) override;
  StoreStats stats() override;
  std::string not_ready_reason() override { return {}; }

 private:
  struct Kept {
    Message message;
    std::int64_t lease_until_s = 0;  // of a running answer; 0: for ever
  };
  struct Held {
    Conversation conversation;
    std::map<MessageId, Kept> messages;
    MessageId last;
  };
  struct Remembered {
    IdempotencyKey request;
    ConversationId conversation;
    MessageId message;
    MessageId reply;
  };
  using Place = std::pair<UserId, ConversationId>;

  Held* find(const UserId& user, const ConversationId& id);
  Held& get(const UserId& user, const ConversationId& id);
  Message seen(const Kept& kept) const;
  std::int64_t last_lease(const UserId& user,
                          const ConversationId& id);  // of what runs; 0: nothing
  Message seen(Held& held, const MessageId& id);
  // Of what an earlier request made: result_deleted where it is gone.
  Held& get_made(const UserId& user, const ConversationId& id);
  Message seen_made(Held& held, const MessageId& id);
  StartedTurn replay(const UserId& user, const Remembered& made);
  Remembered* earlier(const UserId& user, const std::optional<IdempotencyKey>& key,
                      const std::optional<ConversationId>& conversation);
  void remember(const UserId& user, const std::optional<IdempotencyKey>& key, Remembered made);
  Held& add(const UserId& user, NewConversation from);
  Kept& append(Held& held, NewMessage from);
  // With their parents.
  std::vector<Message> all(const Held& held) const;

  Clock& clock_;
  IdSource& ids_;
  const bool counts_at_once_;
  std::mutex mutex_;
  std::map<Place, Held> held_;
  std::map<std::pair<UserId, std::string>, Remembered> remembered_;
  ConversationId last_conversation_;
  std::optional<ConversationId> given_conversation_;
  std::vector<MessageId> given_messages_;  // the next one last
};

}  // namespace colloquy::store
