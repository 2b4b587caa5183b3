// Messages as their readers see them. An answer that is not written yet has no item: its prompt's
// says that it is to come. Its id is the next after the prompt's, so that nothing can stand between
// the two. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "store/dynamodb/items.h"

namespace colloquy::store::dynamodb {

// The answer of a prompt whose answer has no item: running, or interrupted past its lease.
MessageItem answer_to_come(const MessageItem& prompt, std::int64_t now_s);
// A running answer whose lease has passed is interrupted.
void see(MessageItem& item, std::int64_t now_s);

// Puts the answers that are to come between the items of one conversation.
class MessageView {
 public:
  enum class Order { kOldestFirst, kNewestFirst };
  // `edge`: where the range begins (oldest first: the items are asked for from it on, itself
  // included, and it is not part of the result) or ends (newest first: none is as new).
  MessageView(Order order, std::optional<MessageId> edge, std::int64_t now_s)
      : order_(order), edge_(edge), now_s_(now_s) {}

  // Items in the view's order.
  void add(MessageItem item);
  // No item follows.
  void end();
  // What is certain by now, in the view's order.
  std::vector<MessageItem>& seen() { return seen_; }

 private:
  void add_oldest_first(MessageItem item);
  void add_newest_first(MessageItem item);
  void settle_prompt(const MessageItem* next);

  const Order order_;
  const std::optional<MessageId> edge_;
  const std::int64_t now_s_;
  std::vector<MessageItem> seen_;
  std::optional<MessageItem> prompt_;  // oldest first: the last item, if it waits for an answer
  std::optional<MessageId> newer_;     // newest first: the item before
};

}  // namespace colloquy::store::dynamodb
