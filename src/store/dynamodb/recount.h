// What all messages of a conversation say of its count, where a crash between the writes of a
// change may have left it behind. One thread at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "store/dynamodb/items.h"

namespace colloquy::store::dynamodb {

class Recount {
 public:
  explicit Recount(std::int64_t now_s) : now_s_(now_s) {}

  // The next of all messages as they are seen, from the first of the conversation on, oldest first.
  void add(const std::vector<MessageItem>& items);
  // No message follows.
  void end();

  // Without the turns that run: their end counts them.
  std::int64_t count() const { return count_; }
  // That are in the count, and that somebody may yet want to add.
  const std::set<std::string>& changes() const { return changes_; }

 private:
  struct Seen {
    MessageId id;
    std::optional<MessageId> reply_id;  // of the answer that it asks for
    MessageId change;                   // under which it is counted
    std::int64_t last_s = 0;            // its writer goes on trying for no longer than about this
    bool running = false;
    bool counted_at_end = false;  // runs, and its end counts it
  };
  void settle();

  const std::int64_t now_s_;
  std::optional<Seen> last_;  // not settled yet: it may ask for what comes next
  std::int64_t count_ = 0;
  std::set<std::string> changes_;
};

}  // namespace colloquy::store::dynamodb
