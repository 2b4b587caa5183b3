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

// Puts the answers that are to come between the items of one branch.
class MessageView {
 public:
  enum class Order { kOldestFirst, kNewestFirst };
  // Which messages there are to be. Oldest first, the items are asked for from `after` on, itself
  // included: it may be a prompt whose answer is to come.
  struct Bounds {
    std::optional<MessageId> after;
    std::optional<MessageId> last;
  };
  MessageView(Order order, Bounds bounds, std::int64_t now_s)
      : order_(order), bounds_(bounds), now_s_(now_s) {}

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

  bool is_past(const MessageId& id) const { return bounds_.last && id > *bounds_.last; }

  Order order_;
  Bounds bounds_;
  std::int64_t now_s_;
  std::vector<MessageItem> seen_;
  std::optional<MessageItem> prompt_;  // oldest first: the last item, if it waits for an answer
  std::optional<MessageId> newer_;     // newest first: the item before
};

}  // namespace colloquy::store::dynamodb
