// Writes of conversations and of messages that are no turn: created conversations, appended and
// deleted messages. Thread-safe.
#pragma once

#include <optional>

#include "base/clock.h"
#include "base/ids.h"
#include "base/task.h"
#include "store/dynamodb/message_reader.h"
#include "store/dynamodb/placer.h"
#include "store/dynamodb/renewer.h"
#include "store/dynamodb/rows.h"
#include "store/dynamodb/write_steps.h"
#include "store/types.h"

namespace colloquy::store::dynamodb {

class MessageWriter {
 public:
  MessageWriter(WriteSteps& steps, Placer& placer, Rows& rows, MessageReader& reader,
                Renewer& renewer, const Clock& clock)
      : steps_(steps),
        placer_(placer),
        rows_(rows),
        reader_(reader),
        renewer_(renewer),
        clock_(clock) {}

  // As the calls of store/store.h and store/sealed_writes.h.
  Task<CreatedConversation> create_conversation(UserId user, NewConversation conversation,
                                                std::optional<IdempotencyKey> key,
                                                SealedWrites::SealingPointer sealing);
  Task<AppendedMessage> append(UserId user, ConversationId id, NewMessage message,
                               std::optional<IdempotencyKey> key,
                               SealedWrites::SealingPointer sealing);
  Task<std::optional<AppendedMessage>> find_appended(UserId user, ConversationId id,
                                                     IdempotencyKey key);
  Task<> delete_message(UserId user, ConversationId id, MessageId message);

 private:
  Task<Message> insert_message(const KeyedItem& made, const Placer::Placed& placed,
                               const NewMessage& from, SealedWrites::SealingPointer sealing);
  // What an earlier attempt made; nullopt where it did not get as far as writing it.
  Task<std::optional<AppendedMessage>> replay(Conversation conversation, KeyedItem earlier,
                                              IdempotencyKey key);

  WriteSteps& steps_;
  Placer& placer_;
  Rows& rows_;
  MessageReader& reader_;
  Renewer& renewer_;
  const Clock& clock_;
};

}  // namespace colloquy::store::dynamodb
