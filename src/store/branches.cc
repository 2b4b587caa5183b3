#include "store/branches.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/error.h"
#include "base/limits.h"

namespace colloquy::store {
namespace {

MessageId first_of(const BranchTable& table, std::uint32_t branch) {
  return branch == 0 ? MessageId() : table.branches[branch - 1].first;
}

std::uint32_t add(BranchTable& table, Branch branch) {
  if (table.branches.size() >= limits::kBranches) {
    throw Error(ErrorCode::kConflict,
                "The conversation has " + std::to_string(limits::kBranches) +
                    " branches, and can have no more. It can go on where it was written to last.");
  }
  table.branches.push_back(branch);
  table.active = table.newest();
  table.active_up_to.reset();
  return table.active;
}

}  // namespace

MessageId last_message_id() {
  Uuid uuid;
  uuid.bytes.fill(0xff);
  return MessageId(uuid);
}

Path Path::all() {
  Path path;
  path.segments_.push_back({std::nullopt, MessageId(), last_message_id()});
  return path;
}

Path Path::active(const BranchTable& table) {
  if (table.plain()) return all();
  return to(table, {table.active, table.active_up_to.value_or(last_message_id())});
}

Path Path::to(const BranchTable& table, const TreePlace& last) {
  Path path;
  auto branch = last.branch > table.newest() ? 0 : last.branch;
  auto up_to = last.after;
  while (true) {
    auto first = first_of(table, branch);
    bool empty = up_to == MessageId() || up_to < first;
    if (!empty) path.segments_.push_back({branch, first, up_to});
    if (branch == 0) return path;
    // A fork is never past the first message of its branch.
    up_to = std::min(up_to, table.branches[branch - 1].fork);
    branch = table.branches[branch - 1].parent;
  }
}

bool Path::contains(std::uint32_t branch, const MessageId& id) const {
  return std::any_of(segments_.begin(), segments_.end(),
                     [&](const Segment& segment) { return segment.has(branch, id); });
}

std::uint32_t branch_at_end(BranchTable& table, const MessageId& id) {
  if (!table.active_up_to) return table.active;
  return add(table, {table.active, *table.active_up_to, id});
}

std::uint32_t branch_after(BranchTable& table, const TreePlace& place, const MessageId& id,
                           const std::optional<MessageId>& tip) {
  bool at_end = !table.active_up_to && place.branch == table.active && tip == place.after;
  if (at_end) return table.active;
  return add(table, {place.branch, place.after, id});
}

void activate(BranchTable& table, std::uint32_t branch, const MessageId& message) {
  auto chosen = table.newest();
  while (chosen > branch &&
         !Path::to(table, {chosen, last_message_id()}).contains(branch, message)) {
    --chosen;
  }
  table.active = chosen;
  table.active_up_to.reset();
  if (chosen == table.newest()) return;
  auto before_next = table.branches[chosen].first.predecessor();
  table.active_up_to = chosen == branch ? std::max(before_next, message) : before_next;
}

}  // namespace colloquy::store
