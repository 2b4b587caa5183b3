#include "store/dynamodb/running_turns.h"

#include <utility>

namespace colloquy::store::dynamodb {

bool RunningTurns::begin(const MessageId& reply, RunningTurn turn) {
  std::scoped_lock lock(mutex_);
  auto now_s = clock_.now_s();
  if (now_s != swept_at_s_) {
    swept_at_s_ = now_s;
    std::erase_if(turns_, [now_s](const auto& entry) {
      return entry.second.lease_until_s != 0 && entry.second.lease_until_s <= now_s;
    });
  }
  return turns_.try_emplace(reply, std::move(turn)).second;
}

void RunningTurns::forget(const MessageId& reply) {
  std::scoped_lock lock(mutex_);
  turns_.erase(reply);
}

bool RunningTurns::contains(const MessageId& reply) {
  std::scoped_lock lock(mutex_);
  return turns_.contains(reply);
}

std::optional<RunningTurn> RunningTurns::find(const UserId& user, const ConversationId& id,
                                              const MessageId& reply) {
  std::scoped_lock lock(mutex_);
  auto found = turns_.find(reply);
  if (found == turns_.end()) return std::nullopt;
  const auto& turn = found->second;
  bool in_time = turn.lease_until_s == 0 || turn.lease_until_s > clock_.now_s();
  if (!in_time || turn.user != user || turn.conversation != id) return std::nullopt;
  return turn;
}

}  // namespace colloquy::store::dynamodb
