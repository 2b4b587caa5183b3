#include "store/dynamodb/tree_attributes.h"

#include <cstddef>
#include <cstdint>

#include "base/error.h"
#include "base/limits.h"

namespace colloquy::store::dynamodb {
namespace {

constexpr char kFormat = 1;
constexpr std::size_t kIdBytes = 16;
constexpr std::size_t kBranchBytes = 1 + 2 * kIdBytes;
static_assert(limits::kBranches <= 256, "a parent's number is one byte");

MessageId id_of(std::string_view bytes) { return MessageId(*Uuid::from_bytes(bytes)); }

Error garbled() { return internal_error("attribute branches of an item is garbled"); }

}  // namespace

std::string branch_bytes(const BranchTable& tree) {
  if (tree.plain()) return {};
  std::string bytes(1, kFormat);
  bytes.reserve(1 + tree.branches.size() * kBranchBytes);
  for (const auto& branch : tree.branches) {
    bytes.push_back(static_cast<char>(branch.parent));
    bytes.append(branch.fork.raw()).append(branch.first.raw());
  }
  return bytes;
}

void write_tree(AttributeWriter& to, const BranchTable& tree) {
  if (!tree.plain()) to.binary("branches", branch_bytes(tree));
  if (tree.active != 0) to.number("active_branch", tree.active);
  if (tree.active_up_to) to.uuid("active_up_to", tree.active_up_to->uuid());
}

BranchTable read_tree(const AttributeReader& from) {
  BranchTable tree;
  if (auto bytes = from.binary("branches")) {
    std::string_view rest(*bytes);
    if (rest.empty() || rest.front() != kFormat || rest.size() % kBranchBytes != 1) throw garbled();
    rest.remove_prefix(1);
    for (; !rest.empty(); rest.remove_prefix(kBranchBytes)) {
      Branch branch;
      branch.parent = static_cast<std::uint8_t>(rest.front());
      branch.fork = id_of(rest.substr(1, kIdBytes));
      branch.first = id_of(rest.substr(1 + kIdBytes, kIdBytes));
      bool possible = branch.parent <= tree.newest() && branch.fork < branch.first;
      if (!possible) throw garbled();
      tree.branches.push_back(branch);
    }
  }
  auto active = from.number("active_branch").value_or(0);
  if (active < 0 || active > tree.newest()) {
    throw internal_error("attribute active_branch of an item is of no branch");
  }
  tree.active = static_cast<std::uint32_t>(active);
  tree.active_up_to = from.id<MessageId>("active_up_to");
  return tree;
}

}  // namespace colloquy::store::dynamodb
