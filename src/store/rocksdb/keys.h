// The keys of the embedded store, byte for byte.
//
//   conversations   user, conversation id
//   messages        conversation id, message id
//   derived         a letter for the kind, then as below
//
// A user stands as two bytes of length (big-endian) and then its bytes, so that
// no user is a prefix of another. Ids are their 16 bytes and times are 8 bytes
// big-endian, so that the order of keys is the order of time. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace colloquy::store::keys {

std::string user_prefix(const UserId& user);
std::string conversation(const UserId& user, const ConversationId& id);
std::string message(const ConversationId& conversation, const MessageId& id);
// The smallest key that is greater than every key with this prefix; empty when there is none.
std::string after_prefix(std::string prefix);

struct ConversationKey {
  UserId user;
  ConversationId id;
};
// nullopt when the key is not one that `conversation` makes.
std::optional<ConversationKey> parse_conversation(std::string_view key);
std::optional<MessageId> parse_message(std::string_view key);

// derived: single records
inline constexpr std::string_view kFormat = "F";
inline constexpr std::string_view kCounters = "C";
// The retention for which every conversation has been indexed; none, or 0: for none.
inline constexpr std::string_view kRetention = "R";
inline constexpr std::string_view kLineage = "L";

// derived: the system prompt and metadata of a conversation, where they are long
std::string details(const ConversationId& conversation, std::uint64_t generation);
// derived: messages of a deleted conversation are still to be removed
inline constexpr std::string_view kPurgePrefix = "P";
std::string purge(const ConversationId& conversation);
std::optional<ConversationId> parse_purge(std::string_view key);
// derived: idempotency records, and the same in order of their expiry
std::string idempotency(const UserId& user, std::string_view key);
std::string idempotency_prefix();  // of all of them
std::optional<UserId> parse_idempotency_user(std::string_view key);
inline constexpr std::string_view kIdempotencyExpiryPrefix = "X";
std::string idempotency_expiry(std::int64_t expires_at_s, std::string_view idempotency_key);
// derived: conversations that expire, in order of the earliest time at which they may
inline constexpr std::string_view kExpiryPrefix = "E";
std::string expiry(std::int64_t at_s, std::string_view conversation_key);

// derived: what commits have changed, in their order (rocksdb_change_feed.h), and the name of that
// sequence; up to which number they were forgotten
inline constexpr std::string_view kChangesPrefix = "W";
inline constexpr std::string_view kChangeSequence = "Y";
inline constexpr std::string_view kChangesForgotten = "V";
// derived: the counters as the last commit that kept its changes wrote them
inline constexpr std::string_view kChangesKept = "T";
std::string changes(std::uint64_t number);
std::optional<std::uint64_t> parse_changes(std::string_view key);

// derived: users who are being erased, and who were (erase_operations.h)
inline constexpr std::string_view kErasingPrefix = "Z";
inline constexpr std::string_view kErasedPrefix = "U";

struct TimedKey {
  std::int64_t at_s = 0;
  std::string_view key;  // the record's own key; points into the key that was parsed
};
// Takes either kind of expiry key apart.
std::optional<TimedKey> parse_timed(std::string_view key);
// Greater than every key of that prefix with a time of at most `at_s`.
std::string timed_upper_bound(std::string_view prefix, std::int64_t at_s);

}  // namespace colloquy::store::keys
