// What has changed in a store, for an index that is derived from it (search/feeder.h).
//
// Every commit that changes a title or a message also keeps, in the same commit, which
// conversations and messages those were, under a number that rises with every commit. They stay
// until they are forgotten. A change says that something is different, not how: whoever reads it
// looks at what there is now, so that reading one twice, or late, does no harm. Expiry is no change
// before it is carried out, since a longer retention undoes it: what has expired is read as if it
// had not.
//
// For one thread, which may block; every call may. All may throw kUnavailable, and kInternal where
// what is stored cannot be read; calling again is safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "store/types.h"

namespace colloquy::store {

struct Change {
  UserId user;
  ConversationId conversation;
  MessageId message;  // nil: the conversation itself, which was made, renamed or deleted
  bool operator==(const Change&) const = default;
};

struct ChangeSet {
  std::uint64_t number = 0;  // greater than those of all commits before it
  std::int64_t at_ms = 0;    // the time of the commit
  std::vector<Change> changes;
};

// Conversations in an order of the store's own, for a reading of all of them. By name only: what is
// in them is looked at when its turn comes.
struct ConversationName {
  UserId user;
  ConversationId id;
  bool operator==(const ConversationName&) const = default;
};
struct ConversationBatch {
  std::vector<ConversationName> conversations;
  std::size_t unreadable = 0;  // so many more were passed over
  std::string next;            // the position after them; empty: no more
};

// Messages of a conversation, in order.
struct MessageBatch {
  std::vector<Message> messages;
  std::size_t unreadable = 0;  // so many more were passed over
  MessageId last;              // the last that was looked at
  bool more = false;           // behind it
};

class ChangeFeed {
 public:
  virtual ~ChangeFeed() = default;

  // Names this unbroken sequence of changes. Another one than before: some were not kept, and what
  // is derived must be made anew.
  virtual Uuid sequence() const = 0;
  // All up to this number were forgotten, in this process or before: what is derived from less
  // cannot go on.
  virtual std::uint64_t forgotten() = 0;
  // All changes up to this number can be read.
  virtual std::uint64_t newest() = 0;
  // Those with a number greater than `after`, in order; ends after about `most` changes, and only
  // then before the newest.
  virtual std::vector<ChangeSet> changes(std::uint64_t after, std::size_t most) = 0;
  // All up to this number are not needed any more. Removes some of them; false when none is left.
  virtual bool forget_some(std::uint64_t up_to) = 0;

  // What there is now; nullopt: not there.
  virtual std::optional<Conversation> conversation(const UserId& user, ConversationId id) = 0;
  // Of a conversation that is there; without its parent. A running answer is kRunning.
  virtual std::optional<Message> message(ConversationId conversation, MessageId id) = 0;
  // From the first, where the position is empty.
  virtual ConversationBatch conversations(const std::string& position, std::size_t most) = 0;
  // Of every branch, oldest first, with greater ids than `after`; about `bytes` of contents at
  // most.
  virtual MessageBatch messages(ConversationId conversation, MessageId after,
                                std::size_t bytes) = 0;
};

}  // namespace colloquy::store
