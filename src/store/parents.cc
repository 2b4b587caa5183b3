#include "store/parents.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <unordered_map>

namespace colloquy::store {
namespace {

// The ids of each branch, oldest first.
using IdsOfBranches = std::unordered_map<std::uint32_t, std::vector<MessageId>>;

std::optional<MessageId> newest_on(const Path& path, const IdsOfBranches& ids) {
  for (const auto& segment : path.segments()) {
    auto branch = ids.find(*segment.branch);
    if (branch == ids.end()) continue;
    const auto& of_branch = branch->second;
    auto past = std::upper_bound(of_branch.begin(), of_branch.end(), segment.last);
    if (past != of_branch.begin() && *(past - 1) >= segment.first) return *(past - 1);
  }
  return std::nullopt;
}

}  // namespace

Path before(const BranchTable& table, const Message& message) {
  return Path::to(table, {message.branch, message.id.predecessor()});
}

std::vector<MissingParent> link_parents(const BranchTable& table, std::vector<Message>& messages) {
  std::vector<MissingParent> missing;
  IdsOfBranches ids;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    auto& message = messages[i];
    auto& of_branch = ids[message.branch];
    if (!of_branch.empty()) {
      message.parent = of_branch.back();
    } else {
      auto way = before(table, message);
      message.parent = newest_on(way, ids);
      if (!message.parent && !way.segments().empty()) missing.push_back({i, std::move(way)});
    }
    of_branch.push_back(message.id);
  }
  return missing;
}

}  // namespace colloquy::store
