#include "store/dynamodb/user_eraser.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/boot_clock.h"
#include "base/error.h"
#include "telemetry/log.h"

namespace colloquy::store::dynamodb {
namespace {

constexpr std::int64_t kClaimSeconds = 60;
// So long after a claim the next piece begins with another one: a call may take as long again.
constexpr std::chrono::seconds kPieceTime{25};
constexpr std::size_t kConversationsAtOnce = 25;
// How long the others count on a server that does not look again, and how soon it says so again.
constexpr std::int64_t kLookingSeconds = 90;
constexpr std::int64_t kLookingAgainSeconds = 10;
// Where it cannot say so, it goes on looking while its row is good for so long still: the writes
// that the look admits, for 15 s (kLookout), can begin before the last moment for writes.
constexpr std::int64_t kLookingGoodSeconds = 50;
// So long before the row ends no write is sent any more. One that is sent then arrives within 7 s
// (ClientOptions: the time to connect, and that for the answer to begin); the rest is for clocks
// that differ, and for a process that stands still.
constexpr std::int64_t kWritesEndSeconds = 30;
static_assert(kLookingSeconds - kLookingAgainSeconds > kLookingGoodSeconds);
static_assert(kLookingGoodSeconds - kWritesEndSeconds >
              UserEraser::kLookout / std::chrono::seconds(1));
// Of saying so while the row is good: a look begins well within kLookout after the one before.
constexpr std::chrono::milliseconds kSayingTimeout{2'000};

std::string name_of(const ErasingItem& item) { return std::to_string(item.begun_at_ms); }
std::int64_t begun_at_ms_of(const Erasure& erasure) { return std::stoll(erasure.name); }

}  // namespace

Task<> UserEraser::begin(UserId user) {
  co_await rows_->begin_erasure(std::move(user), clock_.now_ms());
}

// What the others read is the row's time by the clock; the client goes by one that nobody sets.
Task<> UserEraser::look_until(std::int64_t now_s,
                              std::optional<std::chrono::milliseconds> timeout) {
  const auto began_at = BootClock::now();
  co_await rows_->put_looking(server_, now_s + kLookingSeconds, timeout);
  looking_until_s_ = now_s + kLookingSeconds;
  client_.write_until(began_at + std::chrono::seconds(kLookingSeconds - kWritesEndSeconds));
}

// That this server looks is known before it looks: whoever begins an erasure that it does not see
// finds its row.
Task<std::vector<Erasure>> UserEraser::unfinished() {
  auto now_s = clock_.now_s();
  auto left_s = looking_until_s_ - now_s;
  if (left_s > kLookingSeconds || left_s < kLookingSeconds - kLookingAgainSeconds) {
    bool good = left_s <= kLookingSeconds && left_s >= kLookingGoodSeconds;
    std::optional<std::chrono::milliseconds> timeout;
    if (good) timeout = kSayingTimeout;
    try {
      co_await look_until(now_s, timeout);
    } catch (const Error& error) {
      if (!good) throw;
      telemetry::log_debug("store.looking_not_said",
                           {{"error", error.message()}, {"detail", error.detail()}});
    }
  }
  auto items = co_await rows_->erasures();
  std::vector<Erasure> erasures;
  erasures.reserve(items.size());
  for (auto& item : items) {
    auto name = name_of(item);
    erasures.push_back({std::move(item.user_id), std::move(name)});
  }
  co_return erasures;
}

Task<> UserEraser::stop_looking() {
  co_await rows_->erase_looking(server_);
  looking_until_s_ = 0;
}

Task<> UserEraser::acknowledge(Erasure erasure) {
  auto begun_at_ms = begun_at_ms_of(erasure);
  co_await rows_->acknowledge_erasure(std::move(erasure.user), begun_at_ms, server_);
}

Task<bool> UserEraser::claim(Erasure erasure) {
  auto now_s = clock_.now_s();
  auto begun_at_ms = begun_at_ms_of(erasure);
  auto claimed = co_await rows_->claim_erasure(std::move(erasure.user), begun_at_ms, server_, now_s,
                                               now_s + kClaimSeconds);
  if (!claimed) co_return false;
  auto looking = co_await rows_->all_looking(now_s);
  looking.erase(server_);
  const auto& heard = claimed->acknowledged;
  co_return std::includes(heard.begin(), heard.end(), looking.begin(), looking.end());
}

Task<Erasures::Left> UserEraser::erase_some(Erasure erasure) {
  const auto deadline = std::chrono::steady_clock::now() + kPieceTime;
  auto user = erasure.user;
  bool claimed = co_await claim(std::move(erasure));
  if (!claimed) co_return Erasures::Left::kLater;
  auto keys = co_await rows_->conversation_keys(user, kConversationsAtOnce);
  for (const auto& key : keys) {
    if (std::chrono::steady_clock::now() >= deadline) co_return Erasures::Left::kMore;
    co_await erase_conversation(user, key);
  }
  if (!keys.empty()) co_return Erasures::Left::kMore;
  const std::function<bool(const UserId&)> is_user = [&](const UserId& of) { return of == user; };
  bool parts = co_await parts_.erase_of(is_user);
  bool some = co_await erase_messages(user, deadline);
  co_return some || parts ? Erasures::Left::kMore : Erasures::Left::kNothing;
}

// The purger leaves the record alone for so long: it would not erase what the messages' keys name.
// As long an import of the same file is refused (taker.h), whose conversations have these very ids,
// so that no server that comes late to this erasure finds messages of the user's new life there:
// were the record to go sooner, it would.
Task<> UserEraser::erase_conversation(const UserId& user, const Rows::ConversationKey& key) {
  co_await rows_->put_purge(user, key.id, clock_.now_s(), longest_turn_.count());
  // Before the conversation, which alone names it.
  if (!key.idempotency.empty()) co_await rows_->erase_keyed(key.idempotency);
  co_await rows_->erase_conversation(user, key.id, std::nullopt);
}

Task<bool> UserEraser::erase_messages(const UserId& user, Deadline deadline) {
  bool some = false;
  for (std::size_t shard = 0; shard < kPurgeShards; ++shard) {
    std::optional<ConversationId> after;
    bool more = true;
    while (more) {
      auto page = co_await rows_->purges(shard, after);
      for (const auto& item : page.items) {
        after = item.conversation_id;
        if (item.user_id != user) continue;
        if (std::chrono::steady_clock::now() >= deadline) co_return true;
        bool had_some = co_await erase_messages_of(item);
        some = some || had_some;
      }
      more = page.more && !page.items.empty();
    }
  }
  co_return some;
}

// A conversation that is being taken loses its record first, and so can never be whole.
Task<bool> UserEraser::erase_messages_of(PurgeItem item) {
  auto now_s = clock_.now_s();
  bool was_taken = !item.stamp.empty();
  if (was_taken || item.claimed_until_s < now_s + kClaimSeconds) {
    auto claimed = item;
    claimed.stamp.clear();
    claimed.claimed_until_s =
        std::max(item.deleted_at_s + longest_turn_.count(), now_s + 2 * kClaimSeconds);
    bool ours = co_await rows_->replace_purge(std::move(item), claimed);
    if (!ours) co_return true;
    item = std::move(claimed);
  }
  auto erased = co_await rows_->erase_some_messages(item.conversation_id, Rows::Keys::kErased);
  co_return was_taken || erased > 0;
}

Task<std::int64_t> UserEraser::seal(Erasure erasure) {
  auto begun_at_ms = begun_at_ms_of(erasure);
  auto at_ms =
      co_await rows_->seal_erasure(std::move(erasure.user), begun_at_ms, server_, clock_.now_ms());
  if (!at_ms) throw unavailable("Another server is erasing this user.");
  co_return *at_ms;
}

Task<> UserEraser::end(Erasure erasure, std::int64_t at_ms) {
  ErasedUser erased{erased_name(erasure.user), at_ms};
  co_await rows_->end_erasure(std::move(erasure.user), server_, std::move(erased));
}

}  // namespace colloquy::store::dynamodb
