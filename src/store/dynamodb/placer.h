// Where in the tree of its conversation a message is written. What goes on at another place than
// the end of the active way begins a branch: one conditional write of the conversation, before the
// message has a row. The branch is known by the id of its first message, so that a request that is
// sent again finds the one that its first attempt began. Thread-safe.
#pragma once

#include <cstdint>
#include <optional>

#include "base/error.h"
#include "base/ids.h"
#include "base/task.h"
#include "store/branches.h"
#include "store/dynamodb/message_reader.h"
#include "store/dynamodb/rows.h"
#include "store/types.h"

namespace colloquy::store::dynamodb {

class Placer {
 public:
  Placer(Rows& rows, MessageReader& reader) : rows_(rows), reader_(reader) {}

  // What a new id must be greater than, so that the message is the last one of its branch:
  // `newest`, which is the newest of all messages, and whatever the tree and the place name.
  static std::optional<MessageId> greatest(const Conversation& conversation,
                                           const std::optional<TreePlace>& place,
                                           const std::optional<MessageId>& newest);
  // What place() would throw by what is known: kConflict, or nothing.
  static std::optional<Error> refusal(const Conversation& conversation,
                                      const std::optional<TreePlace>& place, const MessageId& id,
                                      const std::optional<MessageId>& newest);

  struct Placed {
    Conversation conversation;  // with the branch
    std::uint32_t branch = 0;
    std::optional<MessageId> newest;  // of all messages
  };
  // For a message with the id `id`. `newest`: of all messages, as it was read with the
  // conversation. kConflict: it would need a branch more than there can be. kNotFound: the
  // conversation is gone.
  Task<Placed> place(Conversation conversation, std::optional<TreePlace> place, MessageId id,
                     std::optional<MessageId> newest);
  // Of a message with the id `id` there.
  Task<std::optional<MessageId>> parent(const Placed& placed, MessageId id);

 private:
  Rows& rows_;
  MessageReader& reader_;
};

}  // namespace colloquy::store::dynamodb
