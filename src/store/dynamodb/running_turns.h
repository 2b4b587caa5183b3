// The turns that this server has begun and not finished, so that an answer is saved without being
// looked for first. Thread-safe.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "base/ids.h"

namespace colloquy::store::dynamodb {

struct RunningTurn {
  UserId user;
  ConversationId conversation;
  std::optional<MessageId> prompt;   // that it has written; or else
  std::optional<MessageId> answers;  // the message that it answers once more
  std::string idempotency;           // then: of the answer's item
  std::int64_t lease_until_s = 0;    // 0: none
  std::optional<std::int64_t> lifetime_seconds;
  bool holds = false;  // it holds the conversation's expiry off

  // What names it among the changes of its conversation.
  const MessageId& first(const MessageId& reply) const { return prompt ? *prompt : reply; }
};

class RunningTurns {
 public:
  explicit RunningTurns(const Clock& clock) : clock_(clock) {}

  // False when this server runs it already.
  bool begin(const MessageId& reply, RunningTurn turn);
  void forget(const MessageId& reply);
  bool contains(const MessageId& reply);
  // Of that user and conversation, while its lease lasts.
  std::optional<RunningTurn> find(const UserId& user, const ConversationId& id,
                                  const MessageId& reply);

 private:
  const Clock& clock_;
  std::mutex mutex_;
  std::unordered_map<MessageId, RunningTurn> turns_;  // guarded by mutex_
  std::int64_t swept_at_s_ = 0;                       // of turns_; guarded by mutex_
};

}  // namespace colloquy::store::dynamodb
