// Reads of messages as users see them: along a way through their tree, answers that are to come in
// their places, long contents whole. Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/task.h"
#include "store/branches.h"
#include "store/dynamodb/path_rows.h"
#include "store/dynamodb/rows.h"
#include "store/types.h"

namespace colloquy::store::dynamodb {

class MessageReader {
 public:
  MessageReader(Rows& rows, const Clock& clock) : rows_(rows), clock_(clock) {}

  // Oldest first. Contents that stand in parts are not read yet (read_contents).
  struct Page {
    std::vector<MessageItem> items;
    bool more = false;
    std::optional<Message> older;  // what stands before the first, where it was met
    bool from_first = false;       // nothing does
  };
  Task<Page> page(ConversationId conversation, Path path, MessageRange range);
  // The same in steps: the rows of a range, of which nothing is read yet; reading on until they
  // have all of it (always true); and the page, moved out of them.
  PathRows page_rows(ConversationId conversation, const Path& path,
                     const MessageRange& range) const;
  Task<bool> extend_page(PathRows& rows, MessageRange range);
  static Page take_page(PathRows& rows, const MessageRange& range);
  // Without those that were deleted meanwhile.
  Task<> read_contents(std::vector<MessageItem>& items);
  // Sets the parents of the messages of `page`, of which `messages` are what is left. Those that
  // stand before it are looked for.
  Task<> link(const Conversation& conversation, std::vector<Message>& messages, const Page& page);

  // The newest of a way; with `up_to`, none that is newer.
  PathRows recent_rows(ConversationId conversation, const Path& path,
                       std::optional<MessageId> up_to) const;
  // Reads on until `rows` have all of the range, and one message at least; true when there is no
  // older one. Where they have it already, nothing is read.
  Task<bool> extend(PathRows& rows, RecentRange range);
  // Those of the range that have a text, oldest first. They are moved out of `rows`.
  struct Recent {
    std::vector<MessageItem> items;
    bool whole = false;  // there is no older message
  };
  Task<Recent> newest_with_text(PathRows& rows, RecentRange range);

  // The newest id on a way, an answer's that is to come too; nullopt when there is no message.
  Task<std::optional<MessageId>> newest(ConversationId conversation, Path path);
  // The lease of the newest running answer among the newest few messages; 0 when none runs.
  Task<std::int64_t> running_lease(ConversationId conversation);

  // One message and the one that it may be the answer to, from one query; kWithOlder: and whatever
  // stands before it in the order of ids, for parent().
  enum class Look { kAlone, kWithOlder };
  struct Found {
    std::optional<MessageItem> item;    // as seen; also an answer that is to come
    std::optional<MessageItem> prompt;  // that knows it as its answer
    bool is_written = false;            // `item` has a row of its own
    // kWithOlder: newest first, ids and branches alone; empty: it is the first.
    std::vector<Message> older;
  };
  Task<Found> find(ConversationId conversation, MessageId id, Look look = Look::kAlone);
  // Of what find() found, with what is older.
  Task<std::optional<MessageId>> parent(const Conversation& conversation, const Found& found);

 private:
  Rows& rows_;
  const Clock& clock_;
};

}  // namespace colloquy::store::dynamodb
