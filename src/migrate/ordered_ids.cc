#include "migrate/ordered_ids.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/sha256.h"

namespace colloquy::migrate {
namespace {

constexpr std::int64_t kLatestMs = (std::int64_t{1} << 48) - 1;
// From here on a number is taken for milliseconds: as seconds it would be the year 5138.
constexpr double kMilliseconds = 1e11;
// How the 74 free bits of a message's id are used: first its place among those of its time.
constexpr int kPlaceBits = 22;
constexpr int kPlaceLowBits = kPlaceBits - 12;  // of the 62 bits that follow the first 12
constexpr int kHashBits = 62 - kPlaceLowBits;

std::uint64_t hash_of(std::string_view what, std::string_view first, std::string_view second) {
  // A length before it keeps ("ab", "c") from being ("a", "bc").
  auto length = std::to_string(first.size()) + ":";
  return leading_number(sha256({what, length, first, second}));
}

void check_time(std::int64_t time_ms) {
  if (time_ms >= 0 && time_ms <= kLatestMs) return;
  throw Error(ErrorCode::kInvalid,
              "The time " + std::to_string(time_ms) + " ms is before 1970 or too far ahead.");
}

}  // namespace

ConversationId ordered_conversation_id(std::string_view user, std::string_view old_id,
                                       std::int64_t created_ms) {
  check_time(created_ms);
  auto hash = hash_of("conversation", user, old_id);
  auto more = hash_of("conversation, more", user, old_id);
  return ConversationId(Uuid::make_v7(created_ms, static_cast<std::uint16_t>(more & 0x0fff), hash));
}

MessageOrder::MessageOrder(std::string conversation, std::vector<Row> rows)
    : conversation_(std::move(conversation)), rows_(std::move(rows)) {
  std::sort(rows_.begin(), rows_.end());
}

MessageId MessageOrder::id_of(const Row& row) const {
  check_time(row.time_ms);
  auto at = std::lower_bound(rows_.begin(), rows_.end(), row);
  if (at == rows_.end() || *at != row) {
    throw Error(ErrorCode::kInvalid, "The message " + row.old_id +
                                         " came or changed while its conversation was read: "
                                         "nothing may write to the tables that are moved.");
  }
  auto first =
      std::lower_bound(rows_.begin(), at, row.time_ms,
                       [](const Row& other, std::int64_t ms) { return other.time_ms < ms; });
  auto place = static_cast<std::uint64_t>(at - first);
  if (place >> kPlaceBits != 0) {
    throw Error(ErrorCode::kInvalid, "Too many messages of one time in " + conversation_ + ".");
  }
  auto hash = hash_of("message", conversation_, row.old_id) >> (64 - kHashBits);
  auto low = (place & ((1U << kPlaceLowBits) - 1)) << kHashBits | hash;
  return MessageId(
      Uuid::make_v7(row.time_ms, static_cast<std::uint16_t>(place >> kPlaceLowBits), low));
}

std::int64_t parse_unix_ms(std::string_view number) {
  double value = 0;
  auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  bool whole = error == std::errc() && end == number.data() + number.size();
  if (!whole || !std::isfinite(value) || value < 0 || value > static_cast<double>(kLatestMs)) {
    throw Error(ErrorCode::kInvalid, "\"" + std::string(number) + "\" is not a time.");
  }
  auto ms = std::llround(value >= kMilliseconds ? value : value * 1000);
  check_time(ms);
  return ms;
}

}  // namespace colloquy::migrate
