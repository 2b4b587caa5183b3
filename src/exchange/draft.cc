#include "exchange/draft.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "base/sha256.h"
#include "store/branches.h"

namespace colloquy::exchange {
namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

// A UUID of that time whose other bits are the hash of what it stands for.
Uuid hashed_uuid(std::int64_t time_s, std::initializer_list<std::string_view> pieces) {
  auto digest = sha256(pieces);
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    first = first << 8 | digest[i];
    second = second << 8 | digest[8 + i];
  }
  return Uuid::make_v7(time_s * 1000, static_cast<std::uint16_t>(first), second);
}

// In which order messages are placed: parents before children, none that no first message leads to.
class Order {
 public:
  explicit Order(const Draft& draft) : children_(draft.messages.size()) {
    std::unordered_map<std::string_view, std::size_t> by_id;
    for (std::size_t i = 0; i < draft.messages.size(); ++i) by_id.emplace(draft.messages[i].id, i);
    parents_.resize(draft.messages.size(), kNone);
    for (std::size_t i = 0; i < draft.messages.size(); ++i) {
      if (by_id.at(draft.messages[i].id) != i) continue;  // one of the same id stands before it
      auto parent = by_id.find(draft.messages[i].parent);
      if (draft.messages[i].parent.empty() || parent == by_id.end()) {
        roots_.push_back(i);
      } else {
        parents_[i] = parent->second;
        children_[parent->second].push_back(i);
      }
    }
    auto active = by_id.find(draft.active);
    if (active != by_id.end()) mark_active(active->second);
  }

  std::vector<std::size_t> walk() {
    std::vector<std::size_t> order;
    std::vector<std::size_t> waiting;
    push(waiting, roots_);
    while (!waiting.empty()) {
      auto at = waiting.back();
      waiting.pop_back();
      order.push_back(at);
      push(waiting, children_[at]);
    }
    return order;
  }
  std::size_t parent(std::size_t index) const { return parents_[index]; }

 private:
  void mark_active(std::size_t at) {
    // A file may have a circle.
    while (at != kNone && on_active_way_.insert(at).second) at = parents_[at];
  }
  // The active way first, then as they come: so the last of them goes to the bottom.
  void push(std::vector<std::size_t>& waiting, const std::vector<std::size_t>& these) const {
    for (auto each = these.rbegin(); each != these.rend(); ++each) {
      if (!on_active_way_.contains(*each)) waiting.push_back(*each);
    }
    for (auto each : these) {
      if (on_active_way_.contains(each)) waiting.push_back(each);
    }
  }

  std::vector<std::size_t> roots_;
  std::vector<std::size_t> parents_;
  std::vector<std::vector<std::size_t>> children_;
  std::unordered_set<std::size_t> on_active_way_;
};

// The messages' own ids, where they are Colloquy's, each after its parent's; else none.
std::vector<MessageId> own_ids(const Draft& draft, const Order& order) {
  std::vector<MessageId> ids;
  for (const auto& message : draft.messages) {
    auto id = MessageId::parse(message.id);
    if (draft.source != "colloquy" || !id) return {};
    ids.push_back(*id);
  }
  for (std::size_t i = 0; i < ids.size(); ++i) {
    auto parent = order.parent(i);
    if (parent != kNone && ids[parent] >= ids[i]) return {};
  }
  return ids;
}

}  // namespace

ConversationId place_of(const UserId& user, const Draft& draft) {
  return ConversationId(
      hashed_uuid(draft.conversation.created_at_s,
                  {"colloquy import\n", user.value(), "\n", draft.source, "\n", draft.id}));
}

Placed place(const UserId& user, Draft draft) {
  Placed placed;
  placed.left_out = draft.left_out;
  placed.conversation = std::move(draft.conversation);
  auto& conversation = placed.conversation;
  draft.conversation.created_at_s = conversation.created_at_s;
  conversation.id = place_of(user, draft);
  conversation.user_id = user;
  conversation.version = 1;
  Order order(draft);
  auto walk = order.walk();
  auto ids = own_ids(draft, order);
  if (!ids.empty()) {
    std::sort(walk.begin(), walk.end(), [&](auto a, auto b) { return ids[a] < ids[b]; });
  }
  std::vector<std::optional<store::TreePlace>> places(draft.messages.size());
  MessageId tip;
  for (auto at : walk) {
    auto& from = draft.messages[at];
    auto parent = order.parent(at);
    if (parent != kNone && !places[parent]) continue;  // it was left out
    MessageId id;
    if (ids.empty()) {
      id = MessageId(hashed_uuid(from.message.timestamp_s, {conversation.id.raw(), "\n", from.id}));
      if (id <= tip) id = tip.successor();
    } else {
      id = ids[at];
    }
    auto after = parent == kNone ? store::TreePlace() : *places[parent];
    std::uint32_t branch = 0;
    try {
      branch = store::branch_after(conversation.tree, after, id, tip);
    } catch (const Error&) {
      continue;  // the table is full
    }
    tip = id;
    places[at] = store::TreePlace{branch, id};
    auto& message = placed.messages.emplace_back(std::move(from.message));
    message.id = id;
    message.branch = branch;
  }
  placed.left_out += draft.messages.size() - placed.messages.size();
  for (std::size_t i = 0; i < draft.messages.size(); ++i) {
    if (draft.messages[i].id != draft.active || !places[i]) continue;
    if (places[i]->after != tip) {
      store::activate(conversation.tree, places[i]->branch, places[i]->after);
    }
    break;
  }
  conversation.message_count = placed.messages.size();
  return placed;
}

}  // namespace colloquy::exchange
