// The contract of moving all that a store holds into another one (migrate/mover.h). Apart from
// store.h, whose calls serve users: nothing is dated, counted or given an id here, and what has
// expired is told like everything else.
//
// Conversations come in an order of the store's own, which stays the same as long as nothing writes
// to it, page by page. A position is one line of text that says where a page begins; empty is the
// beginning, and after the last page. A position may be kept and used by another process.
//
// What moves: ids, times, versions, contents, metadata, attachments, status, usage, branches, time
// to live, context settings and summaries. What does not: idempotency records (a request that is
// sent again after the move is a new one), and that an answer is running: it moves as interrupted,
// and holds off no expiry.
//
// For one event loop; calls may overlap. All may throw kUnavailable and kInternal; calling again is
// safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/task.h"
#include "store/types.h"

namespace colloquy::store {

struct MovedConversation {
  Conversation conversation;  // message_count may be behind the truth; held_until_s is 0
  std::string source_id;      // under which the exporter finds its messages
};

struct MovedConversations {
  std::vector<MovedConversation> conversations;
  std::string next;  // the position after them; empty: no more
};

struct MovedMessages {
  std::vector<Message> messages;  // none is kRunning
  std::string next;
};

// What is moved from.
class Exporter {
 public:
  virtual ~Exporter() = default;

  // About how many conversations there are; 0 where that is not known.
  virtual Task<std::uint64_t> estimate() = 0;
  virtual Task<MovedConversations> conversations(std::string position) = 0;
  // Of a conversation that conversations() gave, in any order; a few MiB at most.
  virtual Task<MovedMessages> messages(MovedConversation of, std::string position) = 0;
};

// The page of messages at a position that is the id of the last message before it, for a store
// whose positions are. Throws kInternal where it is none.
MessageRange range_at(const std::string& position);

// What is moved into. It can be read too, to be compared.
class Importer : public Exporter {
 public:
  // Expired or not; nullopt: it is not there.
  virtual Task<std::optional<MovedConversation>> find(UserId user, ConversationId id) = 0;

  // Writing the same again changes nothing.
  virtual Task<> put_messages(Conversation of, std::vector<Message> messages) = 0;
  // After all its messages: no reader sees it before. `newest` is the greatest of their ids. One
  // that is there already stays as it is.
  virtual Task<> put_conversation(Conversation conversation, std::optional<MessageId> newest) = 0;
  // When it returns, all that was put before is durable.
  virtual Task<> flush() = 0;
};

}  // namespace colloquy::store
