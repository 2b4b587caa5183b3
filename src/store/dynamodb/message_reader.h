// Reads of messages as users see them: answers that are to come in their places, long contents
// whole. Thread-safe.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/task.h"
#include "store/dynamodb/message_view.h"
#include "store/dynamodb/rows.h"
#include "store/types.h"

namespace colloquy::store::dynamodb {

// The newest messages of a conversation, as far as they have been read.
struct RecentRows {
  RecentRows(ConversationId id, std::int64_t now_s)
      : conversation(id), view(MessageView::Order::kNewestFirst, std::nullopt, now_s) {}
  // Of all messages; nullopt where there is none, or nothing was read.
  std::optional<MessageId> newest();

  ConversationId conversation;
  MessageView view;
  boost::json::object next;  // where the next page begins
  bool begun = false;
  bool ended = false;
};

class MessageReader {
 public:
  MessageReader(Rows& rows, const Clock& clock) : rows_(rows), clock_(clock) {}

  // Oldest first, with contents.
  struct Page {
    std::vector<MessageItem> items;
    bool more = false;
  };
  Task<Page> page(ConversationId conversation, MessageRange range);

  // Reads on until `rows` have all of the range, and one row at least; true when there is no older
  // one. Where they have it already, nothing is read.
  Task<bool> extend(RecentRows& rows, RecentRange range);
  // Those of the range that have a text, oldest first. They are moved out of `rows`.
  struct Recent {
    std::vector<MessageItem> items;
    bool whole = false;  // there is no older message
  };
  Task<Recent> newest_with_text(RecentRows& rows, RecentRange range);

  // The newest id, an answer's that is to come too; nullopt when there is no message.
  Task<std::optional<MessageId>> newest(ConversationId conversation);
  // The lease of the newest running answer among the newest few messages; 0 when none runs.
  Task<std::int64_t> running_lease(ConversationId conversation);

  // One message and the one that it may be the answer to, from one query.
  struct Found {
    std::optional<MessageItem> item;    // as seen; also an answer that is to come
    std::optional<MessageItem> prompt;  // that knows it as its answer
    bool is_written = false;            // `item` has a row of its own
  };
  Task<Found> find(ConversationId conversation, MessageId id);

 private:
  Task<> read_contents(std::vector<MessageItem>& items);

  Rows& rows_;
  const Clock& clock_;
};

}  // namespace colloquy::store::dynamodb
