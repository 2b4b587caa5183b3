// Which message stands before which. Pure; any thread.
#pragma once

#include <cstddef>
#include <vector>

#include "store/branches.h"
#include "store/types.h"

namespace colloquy::store {

// A message whose parent is not among those that were read: it is the newest one on the way
// `before`, if there is any.
struct MissingParent {
  std::size_t index = 0;
  Path before;
};

// The way to what is before a message.
Path before(const BranchTable& table, const Message& message);

// Sets the parents of `messages`: all that a way, or the whole tree, has between the first and the
// last of them, oldest first. Returns those whose parent, if they have one, is older than the
// first.
std::vector<MissingParent> link_parents(const BranchTable& table, std::vector<Message>& messages);

}  // namespace colloquy::store
