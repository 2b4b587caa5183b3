#include "store/rocksdb/keys.h"

namespace colloquy::store::keys {
namespace {

constexpr std::size_t kIdBytes = 16;
constexpr std::size_t kTimeBytes = 8;
constexpr char kDetails = 'D';
constexpr char kIdempotency = 'I';

void append_be64(std::string& out, std::uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

std::string timed(std::string_view prefix, std::int64_t at_s, std::string_view rest) {
  std::string out;
  out.reserve(prefix.size() + kTimeBytes + rest.size());
  out.append(prefix);
  append_be64(out, static_cast<std::uint64_t>(at_s < 0 ? 0 : at_s));
  out.append(rest);
  return out;
}

void append_user(std::string& out, const UserId& user) {
  auto length = user.value().size();
  out.push_back(static_cast<char>(length >> 8));
  out.push_back(static_cast<char>(length));
  out.append(user.value());
}

}  // namespace

std::string user_prefix(const UserId& user) {
  std::string out;
  out.reserve(2 + user.value().size() + kIdBytes);
  append_user(out, user);
  return out;
}

std::string conversation(const UserId& user, const ConversationId& id) {
  auto out = user_prefix(user);
  out.append(id.raw());
  return out;
}

std::string message(const ConversationId& conversation, const MessageId& id) {
  std::string out;
  out.reserve(2 * kIdBytes);
  out.append(conversation.raw());
  out.append(id.raw());
  return out;
}

std::string after_prefix(std::string prefix) {
  while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) == 0xff) prefix.pop_back();
  if (!prefix.empty()) prefix.back() = static_cast<char>(prefix.back() + 1);
  return prefix;
}

std::optional<ConversationKey> parse_conversation(std::string_view key) {
  if (key.size() < 2 + kIdBytes) return std::nullopt;
  auto length = static_cast<std::size_t>(static_cast<unsigned char>(key[0])) << 8 |
                static_cast<unsigned char>(key[1]);
  if (key.size() != 2 + length + kIdBytes) return std::nullopt;
  auto id = Uuid::from_bytes(key.substr(2 + length));
  return ConversationKey{UserId(std::string(key.substr(2, length))), ConversationId(*id)};
}

std::optional<MessageId> parse_message(std::string_view key) {
  if (key.size() != 2 * kIdBytes) return std::nullopt;
  return MessageId(*Uuid::from_bytes(key.substr(kIdBytes)));
}

std::string details(const ConversationId& conversation, std::uint64_t generation) {
  std::string out;
  out.reserve(1 + kIdBytes + kTimeBytes);
  out.push_back(kDetails);
  out.append(conversation.raw());
  append_be64(out, generation);
  return out;
}

std::string purge(const ConversationId& conversation) {
  std::string out(kPurgePrefix);
  out.append(conversation.raw());
  return out;
}

std::optional<ConversationId> parse_purge(std::string_view key) {
  if (!key.starts_with(kPurgePrefix)) return std::nullopt;
  auto id = Uuid::from_bytes(key.substr(kPurgePrefix.size()));
  if (!id) return std::nullopt;
  return ConversationId(*id);
}

std::string idempotency(const UserId& user, std::string_view key) {
  std::string out;
  out.reserve(3 + user.value().size() + key.size());
  out.push_back(kIdempotency);
  append_user(out, user);
  out.append(key);
  return out;
}

std::string idempotency_prefix() { return {kIdempotency}; }

std::optional<UserId> parse_idempotency_user(std::string_view key) {
  if (key.size() < 3 || key[0] != kIdempotency) return std::nullopt;
  auto length = static_cast<std::size_t>(static_cast<unsigned char>(key[1])) << 8 |
                static_cast<unsigned char>(key[2]);
  if (key.size() < 3 + length) return std::nullopt;
  return UserId(std::string(key.substr(3, length)));
}

std::string idempotency_expiry(std::int64_t expires_at_s, std::string_view idempotency_key) {
  return timed(kIdempotencyExpiryPrefix, expires_at_s, idempotency_key);
}

std::string expiry(std::int64_t at_s, std::string_view conversation_key) {
  return timed(kExpiryPrefix, at_s, conversation_key);
}

std::string changes(std::uint64_t number) {
  std::string out(kChangesPrefix);
  append_be64(out, number);
  return out;
}

std::optional<std::uint64_t> parse_changes(std::string_view key) {
  if (!key.starts_with(kChangesPrefix) || key.size() != kChangesPrefix.size() + kTimeBytes) {
    return std::nullopt;
  }
  std::uint64_t number = 0;
  for (char c : key.substr(kChangesPrefix.size())) {
    number = number << 8 | static_cast<unsigned char>(c);
  }
  return number;
}

std::optional<TimedKey> parse_timed(std::string_view key) {
  if (key.size() < 1 + kTimeBytes) return std::nullopt;
  std::uint64_t at_s = 0;
  for (std::size_t i = 0; i < kTimeBytes; ++i) {
    at_s = at_s << 8 | static_cast<unsigned char>(key[1 + i]);
  }
  return TimedKey{static_cast<std::int64_t>(at_s), key.substr(1 + kTimeBytes)};
}

std::string timed_upper_bound(std::string_view prefix, std::int64_t at_s) {
  return timed(prefix, at_s + 1, {});
}

}  // namespace colloquy::store::keys
