// Reads of conversations with their messages, side by side: as if they had no branches; where one
// has, what was read is used as far as it is on the way that was asked for. Thread-safe.
#pragma once

#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/task.h"
#include "store/dynamodb/message_reader.h"
#include "store/dynamodb/range_hints.h"
#include "store/dynamodb/recount.h"
#include "store/dynamodb/rows.h"
#include "store/types.h"

namespace colloquy::store::dynamodb {

class ConversationReader {
 public:
  // `sealed_contents`: as of DynamoDbOptions.
  ConversationReader(Rows& rows, MessageReader& reader, const Clock& clock, bool sealed_contents)
      : rows_(rows), reader_(reader), clock_(clock), sealed_contents_(sealed_contents) {}

  // As the calls of store/store.h.
  Task<std::optional<Conversation>> conversation(UserId user, ConversationId id);
  // Mends the count where it has seen all messages.
  Task<MessagePage> list(UserId user, ConversationId id, MessageRange range);
  Task<> recount(UserId user, ConversationId id);
  Task<std::optional<Message>> message(UserId user, ConversationId id, MessageId message);
  Task<std::optional<RecentMessages>> recent(UserId user, ConversationId id, ContextSettings usual,
                                             std::optional<TreePlace> up_to);

 private:
  Task<std::optional<Conversation>> keep_up(std::optional<Conversation> read,
                                            const std::vector<MessageItem>& beside);
  Task<> mend(Conversation& conversation, const Recount& seen);

  RecentRange range_of(const ContextSettings& settings) const;

  Rows& rows_;
  MessageReader& reader_;
  const Clock& clock_;
  const bool sealed_contents_;
  RangeHints hints_;
};

}  // namespace colloquy::store::dynamodb
