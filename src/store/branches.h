// How the messages of one conversation are a tree, and which way through it is the conversation.
//
// Every message belongs to a branch, by number: 0 is the one that a conversation begins with. A
// branch has its parent's messages up to its fork and its own after them. What is written goes to
// the end of the active branch. Who goes on at another place begins a new branch there, so that the
// messages of a branch are one run of ids, but for writes of several servers at the same moment.
// So a way through the tree is few ranges of ids, however long the other branches are.
//
// Forks are places in the order of ids, not messages: the message may have been deleted since.
// Plain values and pure functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/ids.h"

namespace colloquy::store {

struct Branch {
  std::uint32_t parent = 0;  // smaller than its own number
  MessageId fork;            // of its parent's way it has all up to here; nil: nothing
  MessageId first;           // none of its own messages is older
  bool operator==(const Branch&) const = default;
};

// A place in the tree: after a message, in the branch that this message belongs to.
struct TreePlace {
  std::uint32_t branch = 0;
  MessageId after;  // nil: before the first message
  bool operator==(const TreePlace&) const = default;
};

struct BranchTable {
  std::vector<Branch> branches;  // branches[n - 1] has the number n
  std::uint32_t active = 0;
  // The active way ends here, and who goes on there begins a branch; nullopt: it goes on at the end
  // of the active branch.
  std::optional<MessageId> active_up_to;

  bool plain() const { return branches.empty(); }
  std::uint32_t newest() const { return static_cast<std::uint32_t>(branches.size()); }
  bool operator==(const BranchTable&) const = default;
};

// A way through the tree, from its newest message back to the first; or all messages.
class Path {
 public:
  // The messages of `branch` (nullopt: of any) from `first` to `last`, both included.
  struct Segment {
    std::optional<std::uint32_t> branch;
    MessageId first;
    MessageId last;
    bool has(std::uint32_t of, const MessageId& id) const {
      return (!branch || *branch == of) && first <= id && id <= last;
    }
    bool operator==(const Segment&) const = default;
  };

  static Path all();
  static Path active(const BranchTable& table);
  // The way that ends with `last`, a place in `branch`. A branch that the table does not have
  // counts as the first one.
  static Path to(const BranchTable& table, const TreePlace& last);

  // Newest first, none of them empty of ids.
  const std::vector<Segment>& segments() const { return segments_; }
  bool contains(std::uint32_t branch, const MessageId& id) const;

 private:
  std::vector<Segment> segments_;
};

// The greatest id that there could be.
MessageId last_message_id();

// Into which branch a message with the id `id`, greater than all others, is written at the end of
// the active way, or after `place`. Where that needs a new branch, the table has it afterwards, and
// it is active. `tip`: the newest message of the active way, where it is known. kConflict: the
// table is full (limits::kBranches).
std::uint32_t branch_at_end(BranchTable& table, const MessageId& id);
std::uint32_t branch_after(BranchTable& table, const TreePlace& place, const MessageId& id,
                           const std::optional<MessageId>& tip);

// Makes the newest of the ways through a message the active one.
void activate(BranchTable& table, std::uint32_t branch, const MessageId& message);

}  // namespace colloquy::store
