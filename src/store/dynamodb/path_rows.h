// The messages of a way through a conversation, as far as they have been read: a query for each of
// its segments, and more where one is long. Not thread-safe.
#pragma once

#include <boost/json/object.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "base/task.h"
#include "store/branches.h"
#include "store/dynamodb/message_view.h"
#include "store/dynamodb/rows.h"

namespace colloquy::store::dynamodb {

class PathRows {
 public:
  using Order = MessageView::Order;
  // `edge`: oldest first, there are to be none but those after it; newest first, none but those
  // before it.
  PathRows(ConversationId conversation, const Path& path, Order order,
           std::optional<MessageId> edge, std::int64_t now_s);

  // Reads on: one query, of `limit` rows at most. Nothing after the end.
  Task<> read(Rows& rows, std::size_t limit);
  // What has been read was of all messages. Keeps what is on `path`, and goes on there.
  void follow(const Path& path);

  // What is certain by now, in the order.
  std::vector<MessageItem>& seen() { return seen_; }
  // The message that stands at the edge, where it was met.
  const std::optional<Message>& edge_message() const { return edge_message_; }
  // On the way that they follow, something has been asked for.
  bool begun() const { return begun_; }
  bool ended() const { return segments_.empty(); }
  ConversationId conversation() const { return conversation_; }

 private:
  void go_on(const Path& path);
  void begin_segment();
  void end_segment();
  void take(MessageItem item);

  const ConversationId conversation_;
  const Order order_;
  const std::optional<MessageId> begin_;  // the edge at first
  std::optional<MessageId> edge_;         // of what is to be read
  const std::int64_t now_s_;
  std::vector<Path::Segment> segments_;  // to be read; the last one is the next
  std::optional<MessageView> view_;      // of the next segment
  boost::json::object start_;            // where its next page begins
  std::vector<MessageItem> seen_;
  std::optional<MessageId> reached_;  // the last row that was read
  std::optional<Message> edge_message_;
  bool begun_ = false;
};

}  // namespace colloquy::store::dynamodb
