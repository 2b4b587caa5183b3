// A store that tells observers what was written through it. Repeats that wrote nothing are not
// told. Thread-safe where the store is.
#pragma once

#include <vector>

#include "chat/store_observer.h"
#include "store/store.h"

namespace colloquy::chat {

class ObservedStore final : public store::Store {
 public:
  // The store and the observers outlive it. Observers are added before the first call.
  explicit ObservedStore(store::Store& store) : store_(store) {}
  void add(StoreObserver& observer) { observers_.push_back(&observer); }

  Task<store::CreatedConversation> create_conversation(
      UserId user, store::NewConversation conversation,
      std::optional<store::IdempotencyKey> key) override;
  Task<std::optional<store::Conversation>> get_conversation(UserId user,
                                                            ConversationId id) override;
  Task<store::ConversationPage> list_conversations(UserId user, std::size_t limit,
                                                   std::optional<ConversationId> after) override;
  Task<store::ActivityPage> list_by_activity(UserId user, std::size_t limit,
                                             std::optional<store::ActivityPosition> after) override;
  Task<store::Conversation> update_conversation(UserId user, ConversationId id,
                                                store::ConversationPatch patch,
                                                std::optional<std::uint64_t> if_version) override;
  Task<> delete_conversation(UserId user, ConversationId id,
                             std::optional<std::uint64_t> if_version) override;
  Task<store::AppendedMessage> append_message(UserId user, ConversationId id,
                                              store::NewMessage message,
                                              std::optional<store::IdempotencyKey> key) override;
  Task<std::optional<store::AppendedMessage>> find_appended(UserId user, ConversationId id,
                                                            store::IdempotencyKey key) override;
  Task<store::MessagePage> list_messages(UserId user, ConversationId id,
                                         store::MessageRange range) override;
  Task<> recount(UserId user, ConversationId id) override;
  Task<std::optional<store::Message>> get_message(UserId user, ConversationId id,
                                                  MessageId message) override;
  Task<> delete_message(UserId user, ConversationId id, MessageId message) override;
  Task<std::optional<store::RecentMessages>> read_recent(
      UserId user, ConversationId id, store::ContextSettings usual,
      std::optional<store::TreePlace> up_to) override;
  Task<store::StartedTurn> start_turn(UserId user, store::NewTurn turn,
                                      std::optional<store::IdempotencyKey> key) override;
  Task<std::optional<store::StartedTurn>> find_turn(UserId user, std::optional<ConversationId> id,
                                                    store::IdempotencyKey key) override;
  Task<store::FinishedTurn> finish_turn(UserId user, ConversationId id,
                                        store::Message reply) override;
  Task<bool> save_partial(UserId user, ConversationId id, store::Message reply) override;
  Task<std::optional<std::string>> find_owner(UserId user, ConversationId id,
                                              MessageId reply) override;
  store::StoreStats stats() override { return store_.stats(); }
  std::string not_ready_reason() override { return store_.not_ready_reason(); }
  Task<bool> close() override { return store_.close(); }

 private:
  Task<> tell_of_branch(UserId user, ConversationId id, store::Message message);

  store::Store& store_;
  std::vector<StoreObserver*> observers_;
};

}  // namespace colloquy::chat
