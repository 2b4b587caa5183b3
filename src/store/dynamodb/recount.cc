#include "store/dynamodb/recount.h"

#include <utility>

namespace colloquy::store::dynamodb {
namespace {

// What was written this short a time ago may not be counted yet by who wrote it; nobody goes on
// trying for longer after a lease.
constexpr std::int64_t kInFlightSeconds = 120;

}  // namespace

void Recount::add(const std::vector<MessageItem>& items) {
  for (const auto& item : items) {
    Seen seen;
    seen.id = item.message.id;
    if (item.reply) seen.reply_id = item.reply->id;
    seen.change = seen.id;
    seen.last_s = item.running ? item.running->lease_until_s : item.message.timestamp_s;
    seen.running = item.message.status == MessageStatus::kRunning;
    seen.counted_at_end = seen.running && item.answers;
    bool answers = last_ && last_->reply_id == seen.id;
    if (answers && seen.running) {
      last_.reset();  // a turn that runs
      continue;
    }
    // An answer is counted with its prompt, under the prompt's id.
    if (answers) seen.change = last_->id;
    settle();
    last_ = seen;
  }
}

void Recount::end() { settle(); }

void Recount::settle() {
  if (!last_) return;
  auto seen = *last_;
  last_.reset();
  if (seen.counted_at_end) return;
  if (seen.running) {
    --count_;  // its prompt was deleted, and so counted off before it was counted
    return;
  }
  ++count_;
  if (seen.last_s + kInFlightSeconds >= now_s_) changes_.insert(seen.change.to_string());
}

}  // namespace colloquy::store::dynamodb
