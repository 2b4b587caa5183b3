#include "store/dynamodb/taker.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/error.h"
#include "base/limits.h"
#include "base/pause.h"
#include "store/intake_checks.h"

namespace colloquy::store::dynamodb {
namespace {

// How long nobody else is at it. Renewed when a third of it is over.
constexpr std::int64_t kClaimSeconds = 120;
constexpr std::chrono::milliseconds kBetweenTries{1000};
constexpr int kAttempts = 4;
constexpr std::size_t kPiece = 25;  // of a batch of the service
// A longer content goes into parts.
constexpr std::size_t kLongContent = 256 * limits::kKiB;

}  // namespace

Task<PurgeItem> Taker::claim(const Conversation& conversation) {
  auto give_up_s = clock_.now_s() + kClaimSeconds + 10;
  while (true) {
    auto now_s = clock_.now_s();
    PurgeItem record;
    record.conversation_id = conversation.id;
    record.user_id = conversation.user_id;
    record.deleted_at_s = now_s;
    record.claimed_until_s = now_s + kClaimSeconds;
    record.stamp = ids_.next(clock_.now_ms()).to_string();
    auto there = co_await rows_.insert_purge(record, now_s);
    if (!there) co_return record;
    if (there->stamp.empty() || now_s >= give_up_s) {
      throw Error(ErrorCode::kConflict,
                  "It is being deleted. Import it again in a quarter of an hour.");
    }
    co_await pause(kBetweenTries);
  }
}

Task<bool> Taker::keep(PurgeItem& record) {
  auto now_s = clock_.now_s();
  if (now_s < record.claimed_until_s - 2 * kClaimSeconds / 3) co_return true;
  auto before = record;
  // What is written from now on is looked for as long after it.
  record.deleted_at_s = now_s;
  record.claimed_until_s = now_s + kClaimSeconds;
  co_return co_await rows_.replace_purge(std::move(before), record);
}

Task<bool> Taker::erase_leftovers(PurgeItem& record) {
  while (true) {
    auto erased = co_await rows_.erase_some_messages(record.conversation_id);
    if (erased == 0) co_return true;
    bool ours = co_await keep(record);
    if (!ours) co_return false;
  }
}

Task<bool> Taker::put_messages(PurgeItem& record, const ConversationItem& item,
                               const std::vector<Message>& messages) {
  const auto& conversation = item.conversation;
  auto ttl = removal_time_s(conversation.lifetime_seconds(),
                            std::max(clock_.now_s(), conversation.updated_at_s));
  std::vector<MessageItem> rows;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    MessageItem row;
    row.conversation_id = conversation.id;
    row.user_id = conversation.user_id;
    row.ttl = ttl;
    row.message = messages[i];
    bytes += row.message.content.size();
    bool is_long = row.message.content.size() > kLongContent;
    if (is_long) {
      co_await rows_.insert_message(row, Rows::Insert::kNew);
    } else {
      rows.push_back(std::move(row));
    }
    bool last = i + 1 == messages.size();
    if (!last && !is_long && rows.size() < kPiece && bytes < limits::kPageBytes) continue;
    co_await rows_.put_messages(std::exchange(rows, {}));
    bytes = 0;
    bool ours = co_await keep(record);
    if (!ours) co_return false;
  }
  co_return true;
}

Task<bool> Taker::is_there(const Conversation& conversation) {
  auto there = co_await rows_.conversation(conversation.user_id, conversation.id);
  if (!there) co_return false;
  if (there->conversation.expired(clock_.now_s())) throw expired_on_intake();
  co_return true;
}

Task<Taker::Outcome> Taker::try_to_take(const ConversationItem& item,
                                        const std::vector<Message>& messages) {
  auto record = co_await claim(item.conversation);
  // Another attempt may have ended between a look and the claim: its messages are not to be
  // touched.
  auto there = co_await rows_.conversation(item.conversation.user_id, item.conversation.id);
  if (there) {
    co_await rows_.erase_purge(record);
    co_return Outcome::kThere;
  }
  bool ours = co_await erase_leftovers(record);
  if (ours) ours = co_await put_messages(record, item, messages);
  if (ours) ours = co_await rows_.finish_taking(item, record);
  co_return ours ? Outcome::kTaken : Outcome::kLost;
}

Task<bool> Taker::take(Conversation conversation, std::vector<Message> messages) {
  auto now_s = clock_.now_s();
  ConversationItem item;
  item.conversation = std::move(conversation);
  auto& taken = item.conversation;
  taken.message_count = messages.size();
  bool there = co_await is_there(taken);
  if (there) co_return false;
  prepare_taken(taken, rows_.retention_seconds(), now_s);
  if (auto lifetime = taken.lifetime_seconds()) {
    item.renewed_at_s = now_s;
    item.renewed_for_s = lifetime;
  }
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    auto outcome = co_await try_to_take(item, messages);
    if (outcome == Outcome::kTaken) co_return true;
    if (outcome == Outcome::kThere) break;
    there = co_await is_there(taken);
    if (there) co_return false;
  }
  there = co_await is_there(taken);
  if (there) co_return false;
  throw unavailable("The tables are too slow right now.", "a claim was lost, again and again");
}

}  // namespace colloquy::store::dynamodb
