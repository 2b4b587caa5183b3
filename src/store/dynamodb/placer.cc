#include "store/dynamodb/placer.h"

#include <algorithm>
#include <utility>

#include "store/parents.h"

namespace colloquy::store::dynamodb {
namespace {

constexpr int kTries = 40;

// An attempt before this one has begun it.
std::optional<std::uint32_t> begun_by(const BranchTable& tree, const MessageId& id) {
  for (std::uint32_t number = 1; number <= tree.newest(); ++number) {
    if (tree.branches[number - 1].first == id) return number;
  }
  return std::nullopt;
}

// The id is from an attempt before, and the tree has grown past it since: the message is written
// where it would have been then.
std::optional<std::uint32_t> overtaken_in(const BranchTable& tree, const MessageId& id) {
  bool overtaken = tree.active_up_to && *tree.active_up_to >= id;
  std::uint32_t then = 0;
  for (std::uint32_t number = 1; number <= tree.newest(); ++number) {
    if (tree.branches[number - 1].first <= id) {
      then = number;
    } else {
      overtaken = true;
    }
  }
  if (!overtaken) return std::nullopt;
  return then;
}

// Which branch it is. Where that is a new one, the tree has it afterwards.
std::uint32_t choose(BranchTable& tree, const std::optional<TreePlace>& place, const MessageId& id,
                     const std::optional<MessageId>& newest) {
  if (auto branch = begun_by(tree, id)) return *branch;
  if (place) {
    if (place->after >= id) throw internal_error("a message is older than its place");
    // Where the newest message of all is another's, it is another branch's or newer than the place.
    return branch_after(tree, *place, id, newest.value_or(MessageId()));
  }
  if (auto branch = overtaken_in(tree, id)) return *branch;
  return branch_at_end(tree, id);
}

}  // namespace

std::optional<MessageId> Placer::greatest(const Conversation& conversation,
                                          const std::optional<TreePlace>& place,
                                          const std::optional<MessageId>& newest) {
  auto greatest = newest;
  auto consider = [&greatest](const MessageId& id) {
    if (!greatest || id > *greatest) greatest = id;
  };
  if (place && place->after != MessageId()) consider(place->after);
  if (conversation.tree.active_up_to) consider(*conversation.tree.active_up_to);
  for (const auto& branch : conversation.tree.branches) consider(branch.first);
  return greatest;
}

std::optional<Error> Placer::refusal(const Conversation& conversation,
                                     const std::optional<TreePlace>& place, const MessageId& id,
                                     const std::optional<MessageId>& newest) {
  auto tree = conversation.tree;
  try {
    choose(tree, place, id, newest);
  } catch (const Error& error) {
    return error;
  }
  return std::nullopt;
}

Task<Placer::Placed> Placer::place(Conversation conversation, std::optional<TreePlace> place,
                                   MessageId id, std::optional<MessageId> newest) {
  Placed placed;
  placed.conversation = std::move(conversation);
  for (int tries = 0;; ++tries) {
    auto tree = placed.conversation.tree;
    placed.branch = choose(tree, place, id, newest);
    if (tree == placed.conversation.tree) break;
    if (tries == kTries) {
      throw unavailable("The conversation is being changed too often right now.");
    }
    auto change = co_await rows_.replace_tree(placed.conversation, tree);
    if (!change.there) throw not_found();
    placed.conversation = std::move(*change.there);
    if (change.done) break;
    newest = co_await reader_.newest(placed.conversation.id, Path::all());
  }
  placed.newest = newest;
  co_return placed;
}

// The newest of all is the end of the active way, but for writes of several servers at the same
// moment.
Task<std::optional<MessageId>> Placer::parent(const Placed& placed, MessageId id) {
  if (!placed.newest) co_return std::nullopt;
  const auto& tree = placed.conversation.tree;
  auto first = placed.branch == 0 ? MessageId() : tree.branches[placed.branch - 1].first;
  bool in_branch = first <= *placed.newest && *placed.newest < id;
  if (in_branch && placed.branch == tree.newest()) co_return placed.newest;
  Message written;
  written.id = id;
  written.branch = placed.branch;
  co_return co_await reader_.newest(placed.conversation.id, before(tree, written));
}

}  // namespace colloquy::store::dynamodb
