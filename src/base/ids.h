// Identifiers. Each kind is a type of its own, so that a UserId never passes
// for a ConversationId. Values are immutable and may be shared between threads.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>

namespace colloquy {

// 16 bytes in network order; ordering is bytewise, which for version 7 is time order (RFC 9562).
struct Uuid {
  std::array<std::uint8_t, 16> bytes{};

  // Parses the 36-character lower-case form of a version 7 UUID; anything else is nullopt.
  static std::optional<Uuid> parse_v7(std::string_view text);
  // A version 7 UUID of the given time with the given 74 random bits (the excess is ignored).
  static Uuid make_v7(std::int64_t unix_ms, std::uint16_t random_high, std::uint64_t random_low);
  // The 16 bytes as they stand in a key of the store; nullopt when the size differs.
  static std::optional<Uuid> from_bytes(std::string_view raw);

  std::string to_string() const;  // 36 characters, lower case
  void append_to(std::string& out) const;
  std::string_view raw() const {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  std::int64_t unix_ms() const;  // of a version 7 UUID
  // A larger version 7 UUID: the random part plus `by` (its lower 62 bits), carried into the time.
  Uuid advanced(std::uint64_t by) const;
  Uuid successor() const { return advanced(1); }
  // The next smaller one, whose successor this is.
  Uuid predecessor() const;

  auto operator<=>(const Uuid&) const = default;
};

template <class Tag>
class UuidId {
 public:
  UuidId() = default;
  explicit UuidId(Uuid uuid) : uuid_(uuid) {}

  static std::optional<UuidId> parse(std::string_view text) {
    auto uuid = Uuid::parse_v7(text);
    if (!uuid) return std::nullopt;
    return UuidId(*uuid);
  }

  const Uuid& uuid() const { return uuid_; }
  UuidId successor() const { return UuidId(uuid_.successor()); }
  UuidId predecessor() const { return UuidId(uuid_.predecessor()); }
  std::string to_string() const { return uuid_.to_string(); }
  std::string_view raw() const { return uuid_.raw(); }

  auto operator<=>(const UuidId&) const = default;

 private:
  Uuid uuid_;
};

using ConversationId = UuidId<struct ConversationTag>;
using MessageId = UuidId<struct MessageTag>;

// Who owns a conversation: the `sub` of a verified token, 1 to kMaxUserIdBytes bytes.
class UserId {
 public:
  UserId() = default;
  explicit UserId(std::string value) : value_(std::move(value)) {}
  const std::string& value() const { return value_; }
  auto operator<=>(const UserId&) const = default;

 private:
  std::string value_;
};

// Makes version 7 UUIDs. Thread-safe. Two ids of one source are never equal;
// they need not be in order within one millisecond.
class IdSource {
 public:
  virtual ~IdSource() = default;
  virtual Uuid next(std::int64_t unix_ms) = 0;
};

// Random bits from a generator per thread, seeded by the operating system.
class RandomIdSource final : public IdSource {
 public:
  Uuid next(std::int64_t unix_ms) override;
};

// The same ids for the same seed, for tests.
class SeededIdSource final : public IdSource {
 public:
  explicit SeededIdSource(std::uint64_t seed) : engine_(seed) {}
  Uuid next(std::int64_t unix_ms) override;

 private:
  std::mutex mutex_;
  std::mt19937_64 engine_;  // guarded by mutex_
};

}  // namespace colloquy

template <>
struct std::hash<colloquy::Uuid> {
  std::size_t operator()(const colloquy::Uuid& uuid) const noexcept {
    return std::hash<std::string_view>{}(uuid.raw());
  }
};
template <class Tag>
struct std::hash<colloquy::UuidId<Tag>> {
  std::size_t operator()(const colloquy::UuidId<Tag>& id) const noexcept {
    return std::hash<colloquy::Uuid>{}(id.uuid());
  }
};
template <>
struct std::hash<colloquy::UserId> {
  std::size_t operator()(const colloquy::UserId& id) const noexcept {
    return std::hash<std::string>{}(id.value());
  }
};
