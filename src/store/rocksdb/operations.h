// What the store writes, as operations of the Writer. Each is made on the caller's
// event loop, which also encodes what can be encoded before the commit gives ids
// and time.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "store/rocksdb/writer.h"
#include "store/sealed_writes.h"
#include "store/types.h"

namespace colloquy::store {

struct Done {};

// As a reader sees it: a running answer whose owner is not `instance`, or whose lease has passed,
// is interrupted.
Message as_seen(MessageRecord record, const Uuid& instance, std::int64_t now_s);

// An IdempotencyKey and the key of its record.
struct IdempotentRequest {
  IdempotentRequest(const UserId& user, IdempotencyKey request);
  std::string record_key;
  IdempotencyKey request;
};
using Idempotency = std::optional<IdempotentRequest>;

// Throws key_reused unless what `record` remembers is an earlier sending of this very request: of
// the same kind and, where it names a conversation, to the same one.
void check_repeat(const IdempotencyRecord& record, const IdempotencyKey& request,
                  IdempotentKind kind, const std::optional<ConversationId>& conversation);

// A message without id and time: encoded now, or, where it is sealed, when it has its id.
class NewMessageValue {
 public:
  NewMessageValue(const Message& message, SealedWrites::SealingPointer sealing);
  // To be called once. Throws what sealing throws.
  std::string& encoded_for(const ConversationId& conversation, const MessageId& id);
  std::size_t bytes() const;

 private:
  SealedWrites::SealingPointer sealing_;
  Message message_;  // that is yet to be sealed
  std::string encoded_;
};

class CreateConversation final : public AwaitedOperation<CreatedConversation> {
 public:
  CreateConversation(UserId user, NewConversation conversation, Idempotency idempotency,
                     SealedWrites::SealingPointer sealing);
  void apply(WriteGroup& group) override;
  std::size_t bytes() const override;

 private:
  UserId user_;
  NewConversation new_;
  Idempotency idempotency_;
  SealedWrites::SealingPointer sealing_;
};

// What an append gave: id, place and time, or the message that an earlier one made.
struct Placed {
  MessageId id;
  std::uint32_t branch = 0;
  std::optional<MessageId> parent;  // nil: there is none; nullopt: it is to be looked up
  std::int64_t timestamp_s = 0;
  std::optional<Message> replayed;
};

class AppendMessage final : public AwaitedOperation<Placed> {
 public:
  AppendMessage(const UserId& user, ConversationId id, NewMessageValue message,
                std::optional<TreePlace> place, Idempotency idempotency);
  void apply(WriteGroup& group) override;
  std::size_t bytes() const override { return 512 + message_.bytes(); }

 private:
  void replay(WriteGroup& group, const IdempotencyRecord& record);

  std::string key_;
  ConversationId id_;
  NewMessageValue message_;
  std::optional<TreePlace> place_;
  Idempotency idempotency_;
};

// What a new turn gave. On a replay the messages are there, else they are the caller's with these
// ids.
struct PlacedTurn {
  Conversation conversation;
  MessageId prompt_id;  // the answered message's where none was written
  MessageId reply_id;
  std::uint32_t branch = 0;
  std::optional<MessageId> parent;  // of the first that was written, as Placed's
  std::int64_t timestamp_s = 0;
  std::optional<Message> replayed_prompt;
  std::optional<Message> replayed_reply;
};

class StartTurn final : public AwaitedOperation<PlacedTurn> {
 public:
  // `reply` without id and time. Exactly one of `id` and `conversation`. `answered`: the message
  // that is answered, in whose place `prompt` is not written. `sealing`: of the conversation.
  StartTurn(UserId user, std::optional<ConversationId> id,
            std::optional<NewConversation> conversation, NewMessageValue prompt,
            const MessageRecord& reply, std::optional<TreePlace> place,
            std::optional<MessageId> answered, Idempotency idempotency,
            SealedWrites::SealingPointer sealing);
  void apply(WriteGroup& group) override;
  std::size_t bytes() const override;

 private:
  void replay(WriteGroup& group, const IdempotencyRecord& record);

  UserId user_;
  std::optional<ConversationId> id_;
  std::optional<NewConversation> new_;
  NewMessageValue prompt_;
  std::string encoded_reply_;
  std::optional<TreePlace> place_;
  std::optional<MessageId> answered_;
  std::int64_t lease_until_s_;
  Idempotency idempotency_;
  SealedWrites::SealingPointer sealing_;
};

// What saving an answer gave.
struct SavedAnswer {
  Conversation conversation;
  std::int64_t timestamp_s = 0;
  std::optional<Message> earlier;  // that stood in its place, and stays
};

class FinishTurn final : public AwaitedOperation<SavedAnswer> {
 public:
  FinishTurn(const UserId& user, ConversationId id, const Message& reply);
  void apply(WriteGroup& group) override;
  std::size_t bytes() const override { return 512 + encoded_.size(); }

 private:
  std::string key_;
  ConversationId id_;
  MessageId reply_id_;
  std::string encoded_;
};

// False where the answer is not running, or another opening of the store runs it.
class SavePartial final : public AwaitedOperation<bool> {
 public:
  SavePartial(const UserId& user, ConversationId id, Message reply);
  void apply(WriteGroup& group) override;
  std::size_t bytes() const override { return 512 + 2 * reply_.content.size(); }

 private:
  std::string key_;
  ConversationId id_;
  Message reply_;
  std::string encoded_;
};

class UpdateConversation final : public AwaitedOperation<Conversation> {
 public:
  UpdateConversation(const UserId& user, ConversationId id, ConversationPatch patch,
                     std::optional<std::uint64_t> if_version);
  void apply(WriteGroup& group) override;
  std::size_t bytes() const override;

 private:
  std::string key_;
  ConversationPatch patch_;
  std::optional<std::uint64_t> if_version_;
};

class DeleteConversation final : public AwaitedOperation<Done> {
 public:
  DeleteConversation(const UserId& user, ConversationId id,
                     std::optional<std::uint64_t> if_version);
  void apply(WriteGroup& group) override;

 private:
  std::string key_;
  std::optional<std::uint64_t> if_version_;
};

class DeleteMessage final : public AwaitedOperation<Done> {
 public:
  DeleteMessage(const UserId& user, ConversationId id, MessageId message);
  void apply(WriteGroup& group) override;

 private:
  std::string key_;
  ConversationId id_;
  MessageId message_;
};

}  // namespace colloquy::store
