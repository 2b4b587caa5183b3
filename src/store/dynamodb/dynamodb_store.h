// The Store in Amazon DynamoDB, or in anything that speaks its protocol, in the tables of
// docs/architecture.md. Any number of servers may use the same tables at once; none holds state
// that another needs.
//
// What it promises beyond store/store.h: what each call costs (docs/cost.md). What it promises
// less: `message_count` and `updated_at` of a conversation leave out a turn until finish_turn;
// after a crash they are mended by the next read that sees the whole conversation. stats() come
// from the service, which counts every few hours, and counts every item: records of ours, and parts
// of long messages, among them.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "store/dynamodb/client.h"
#include "store/dynamodb/rows.h"
#include "store/erasure.h"
#include "store/intake.h"
#include "store/sealed_writes.h"
#include "store/store.h"
#include "telemetry/metrics.h"

namespace colloquy::store {

struct DynamoDbOptions {
  dynamodb::TableNames tables;
  std::string
      owner;  // what the others know this server by, in the turns that it runs; empty: an id
  bool updated_index = false;  // the table of conversations has UserUpdatedIndex
  // The contents are sealed (store/encrypted): a budget is of what they were.
  bool sealed_contents = false;
  // What a turn may take at most; a purge looks once more after it.
  std::chrono::seconds longest_turn{660};
  // How often this server looks for deletions that another left behind.
  std::chrono::milliseconds sweep_interval{60'000};
  // The time to live of conversations that have none of their own; nullopt: they stay.
  std::optional<std::int64_t> retention_seconds = {};
  // At most so many messages of deleted conversations are removed a second by this server, and as
  // many writes made where the retention has changed.
  std::size_t removal_rate = 1000;
  // Told of each conversation that has expired and is removed by this server, not by the service.
  std::function<void(const UserId&, ConversationId)> on_expired = {};
  // How often the service is asked how much the tables hold.
  std::chrono::milliseconds sizes_interval{300'000};
  // The event loop of what goes on in the background; without one, nothing does. It stops before
  // the client goes.
  std::optional<boost::asio::any_io_executor> background;
};

class DynamoDbStore final : public Store, public SealedWrites, public Intake, public Erasures {
 public:
  // What is referred to outlives it; the tables are there (dynamodb/tables.h).
  DynamoDbStore(DynamoDbOptions options, dynamodb::Client& client, Clock& clock, IdSource& ids,
                telemetry::Metrics& metrics);
  ~DynamoDbStore() override;

  // To be awaited once, before any other call.
  Task<> prepare();

  Task<CreatedConversation> create_conversation(UserId user, NewConversation conversation,
                                                std::optional<IdempotencyKey> key) override;
  Task<CreatedConversation> create_sealed(UserId user, NewConversation conversation,
                                          std::optional<IdempotencyKey> key,
                                          SealingPointer sealing) override;
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
  Task<AppendedMessage> append_sealed(UserId user, ConversationId id, NewMessage message,
                                      std::optional<IdempotencyKey> key,
                                      SealingPointer sealing) override;
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
  Task<StartedTurn> start_sealed(UserId user, NewTurn turn, std::optional<IdempotencyKey> key,
                                 SealingPointer sealing) override;
  Task<std::optional<StartedTurn>> find_turn(UserId user, std::optional<ConversationId> id,
                                             IdempotencyKey key) override;
  Task<FinishedTurn> finish_turn(UserId user, ConversationId id, Message reply) override;
  // Texts past a few hundred KB are left as they were saved before.
  Task<bool> save_partial(UserId user, ConversationId id, Message reply) override;
  Task<std::optional<std::string>> find_owner(UserId user, ConversationId id,
                                              MessageId reply) override;
  Task<bool> take(Conversation conversation, std::vector<Message> messages) override;
  Task<> begin_erasure(UserId user) override;
  Task<std::vector<Erasure>> unfinished_erasures() override;
  std::optional<std::chrono::milliseconds> lookout() const override;
  Task<> stop_looking() override;
  Task<> acknowledge_erasure(Erasure erasure) override;
  Task<bool> claim_erasure(Erasure erasure) override;
  Task<Left> erase_some(Erasure erasure) override;
  Task<std::int64_t> seal_erasure(Erasure erasure) override;
  Task<> end_erasure(Erasure erasure, std::int64_t at_ms) override;
  Task<std::vector<ErasedUser>> erased_users(std::string after) override;
  StoreStats stats() override;
  std::string not_ready_reason() override;
  Task<bool> close() override;

  // Carries out now what waits to be done in the background: every deletion, every renewal, what a
  // change of the retention asks for. For tests and tools.
  Task<> settle_now();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace colloquy::store
