// Writes of what is sealed (store/encrypted): it is bound to its id, which the store gives when it
// writes. So that the store seals it then, with what it is handed.
#pragma once

#include <memory>
#include <optional>

#include "base/task.h"
#include "store/types.h"

namespace colloquy::store {

// Immutable; any thread, blocks nothing. Throws kInternal.
class Sealing {
 public:
  virtual ~Sealing() = default;
  // All texts, with their ids.
  virtual void seal(Conversation& conversation) const = 0;
  virtual void seal(const ConversationId& conversation, Message& message) const = 0;
};

// As the calls of store.h without `sealing`, and with null the same. Of a message that was written
// now the result's texts may be sealed or not.
class SealedWrites {
 public:
  using SealingPointer = std::shared_ptr<const Sealing>;
  virtual ~SealedWrites() = default;

  virtual Task<CreatedConversation> create_sealed(UserId user, NewConversation conversation,
                                                  std::optional<IdempotencyKey> key,
                                                  SealingPointer sealing) = 0;
  virtual Task<AppendedMessage> append_sealed(UserId user, ConversationId id, NewMessage message,
                                              std::optional<IdempotencyKey> key,
                                              SealingPointer sealing) = 0;
  virtual Task<StartedTurn> start_sealed(UserId user, NewTurn turn,
                                         std::optional<IdempotencyKey> key,
                                         SealingPointer sealing) = 0;
};

}  // namespace colloquy::store
