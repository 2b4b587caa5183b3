// The steps that every write of messages is made of: ids in order, keys that make a request safe to
// send again, rows as they begin. Thread-safe.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>

#include "base/clock.h"
#include "base/error.h"
#include "base/ids.h"
#include "base/task.h"
#include "store/dynamodb/rows.h"
#include "store/sealed_writes.h"
#include "store/types.h"

namespace colloquy::store::dynamodb {

// Whether the expiry of the conversation must be held off for a turn with this lease. It costs a
// write, so that by the retention it is done only where it would come before the lease is over.
bool must_hold(const Conversation& conversation, std::int64_t lease_until_s);

class WriteSteps {
 public:
  WriteSteps(Rows& rows, const Clock& clock, IdSource& ids)
      : rows_(rows), clock_(clock), ids_(ids) {}

  // Not expired; kNotFound.
  Task<Conversation> require(UserId user, ConversationId id);

  // After `newest`, whatever this server's clock says.
  MessageId next_message_id(const std::optional<MessageId>& newest) const;
  ConversationId next_conversation_id();

  // What stands in the record of a key; nullopt when this request has written it now. kInvalid when
  // the key was used for another request.
  Task<std::optional<KeyedItem>> claim(const IdempotencyKey& key, const KeyedItem& fresh);
  static void set_key(KeyedItem& made, const UserId& user, const IdempotencyKey& key);

  // The conversation that `made` names, or the one that an earlier attempt wrote. Its expiry is
  // held off until `held_until_s`.
  Task<Conversation> insert_conversation(const KeyedItem& made, UserId user,
                                         const NewConversation& from, std::int64_t held_until_s,
                                         SealedWrites::SealingPointer sealing);
  MessageItem message_item(const Conversation& conversation, std::uint32_t branch,
                           const MessageId& id, const NewMessage& from,
                           const SealedWrites::SealingPointer& sealing) const;
  // What a request made at that time has expired since without activity.
  bool had_expired(const NewConversation& from, std::int64_t made_at_s) const;
  // Throws `refusal` where there is one, unless the key's record says that it is a repeat.
  Task<> refuse_unless_repeat(UserId user, std::optional<IdempotencyKey> key,
                              std::optional<Error> refusal);
  // When the service may remove a message that is written now; nullopt: never.
  std::optional<std::int64_t> removal_time(const std::optional<std::int64_t>& lifetime_seconds,
                                           std::int64_t lease_until_s) const;

 private:
  Rows& rows_;
  const Clock& clock_;
  IdSource& ids_;
  std::mutex mutex_;
  ConversationId last_conversation_;  // guarded by mutex_
};

}  // namespace colloquy::store::dynamodb
