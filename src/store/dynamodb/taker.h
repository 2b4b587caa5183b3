// Takes whole conversations (store/intake.h). A record as of a deletion is written first, so that
// what a crash leaves behind is removed as the messages of a deleted conversation are. It has a
// stamp of this attempt alone: the conversation is written in one transaction with the end of the
// record, so an attempt that has lost it to another server, which may have removed messages, writes
// nothing, and begins anew. Thread-safe.
#pragma once

#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/task.h"
#include "store/dynamodb/rows.h"
#include "store/types.h"

namespace colloquy::store::dynamodb {

class Taker {
 public:
  Taker(Rows& rows, const Clock& clock, IdSource& ids) : rows_(rows), clock_(clock), ids_(ids) {}

  Task<bool> take(Conversation conversation, std::vector<Message> messages);

 private:
  enum class Outcome { kTaken, kThere, kLost };

  Task<Outcome> try_to_take(const ConversationItem& item, const std::vector<Message>& messages);
  // Waits for an attempt before it, which may have been cut short; kConflict for a deletion.
  Task<PurgeItem> claim(const Conversation& conversation);
  // False when it is lost, as the next ones.
  Task<bool> keep(PurgeItem& record);
  Task<bool> erase_leftovers(PurgeItem& record);
  Task<bool> put_messages(PurgeItem& record, const ConversationItem& item,
                          const std::vector<Message>& messages);
  // kConflict where the one that is there has expired.
  Task<bool> is_there(const Conversation& conversation);

  Rows& rows_;
  const Clock& clock_;
  IdSource& ids_;
};

}  // namespace colloquy::store::dynamodb
