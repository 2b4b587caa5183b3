// A store that keeps what users write encrypted in another store: titles, system prompts, metadata,
// summaries, the contents and client ids of messages. Ids, times, counts, roles, status and models'
// names are as they are. Texts that were written before stay readable, and are encrypted when they
// are written next. What was encrypted and cannot be opened is kInternal, with a detail that names
// it; a user whose key was erased has it like that. In lists of conversations, and beside a
// conversation's messages, it is left out and logged instead.
//
// Idempotency keys and their fingerprints are kept as keyed digests. Thread-safe where the store
// is; encrypting runs on the event loop that awaits the call, in turns with what else is to be done
// there, and, of what is given its id as it is written, where the store writes; keys are waited
// for.
#pragma once

#include <string>
#include <vector>

#include "keyring/keyring.h"
#include "store/encrypted/text_sealer.h"
#include "store/intake.h"
#include "store/sealed_writes.h"
#include "store/store.h"

namespace colloquy::store {

class EncryptedStore final : public Store, public Intake {
 public:
  // What is referred to outlives it; `writes` and `intake` are the store's. The store allows for
  // longer contents (its option sealed_contents). From now on the keyring makes no key for users of
  // whom something is sealed.
  EncryptedStore(Store& store, SealedWrites& writes, Intake& intake, keyring::Keyring& keyring,
                 const Clock& clock);

  Task<CreatedConversation> create_conversation(UserId user, NewConversation conversation,
                                                std::optional<IdempotencyKey> key) override;
  Task<std::optional<Conversation>> get_conversation(UserId user, ConversationId id) override;
  Task<ConversationPage> list_conversations(UserId user, std::size_t limit,
                                            std::optional<ConversationId> after) override;
  Task<ActivityPage> list_by_activity(UserId user, std::size_t limit,
                                      std::optional<ActivityPosition> after) override;
  Task<Conversation> update_conversation(UserId user, ConversationId id, ConversationPatch patch,
                                         std::optional<std::uint64_t> if_version) override;
  Task<> delete_conversation(UserId user, ConversationId id,
                             std::optional<std::uint64_t> if_version) override;
  Task<AppendedMessage> append_message(UserId user, ConversationId id, NewMessage message,
                                       std::optional<IdempotencyKey> key) override;
  Task<std::optional<AppendedMessage>> find_appended(UserId user, ConversationId id,
                                                     IdempotencyKey key) override;
  Task<MessagePage> list_messages(UserId user, ConversationId id, MessageRange range) override;
  Task<> recount(UserId user, ConversationId id) override;
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
  Task<std::optional<std::string>> find_owner(UserId user, ConversationId id,
                                              MessageId reply) override;
  StoreStats stats() override { return store_.stats(); }
  std::string not_ready_reason() override { return store_.not_ready_reason(); }
  Task<bool> close() override { return store_.close(); }

  Task<bool> take(Conversation conversation, std::vector<Message> messages) override;

 private:
  Task<TextSealer> sealer_for(UserId user);
  Task<TextSealer> sealer_of(UserId user, std::string data_key);
  // Of a user who may have no key yet.
  Task<std::optional<TextSealer>> find_sealer(UserId user);
  // nullopt: neither a key nor the conversation is there any more.
  Task<std::optional<TextSealer>> sealer_for_answer(UserId user, ConversationId id);
  // Opens all that is sealed. The messages are of the conversation `id`.
  Task<> open_all(UserId user, ConversationId id, std::vector<Conversation*> conversations,
                  std::vector<Message*> messages);
  Task<> open_listed(UserId user, std::vector<Conversation*> conversations);
  Task<Conversation> opened(UserId user, Conversation conversation);
  Task<StartedTurn> opened(UserId user, StartedTurn started);
  Task<AppendedMessage> opened(UserId user, ConversationId id, AppendedMessage appended);
  // Was the key made so lately that requests from before it may be sent again?
  bool is_new(const TextSealer& sealer) const;

  Store& store_;
  SealedWrites& writes_;
  Intake& intake_;
  keyring::Keyring& keyring_;
  const Clock& clock_;
  const std::string prefix_;
};

}  // namespace colloquy::store
