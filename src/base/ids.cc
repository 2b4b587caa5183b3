#include "base/ids.h"

#include <openssl/rand.h>

#include <cstring>

#include "base/error.h"

namespace colloquy {
namespace {

constexpr char kHex[] = "0123456789abcdef";
constexpr std::size_t kTextLength = 36;

bool is_dash_position(std::size_t i) { return i == 8 || i == 13 || i == 18 || i == 23; }

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

std::optional<Uuid> Uuid::parse_v7(std::string_view text) {
  if (text.size() != kTextLength) return std::nullopt;
  Uuid uuid;
  std::size_t nibble = 0;
  for (std::size_t i = 0; i < kTextLength; ++i) {
    if (is_dash_position(i)) {
      if (text[i] != '-') return std::nullopt;
      continue;
    }
    int value = hex_value(text[i]);
    if (value < 0) return std::nullopt;
    auto& byte = uuid.bytes[nibble / 2];
    byte = static_cast<std::uint8_t>((byte << 4) | value);
    ++nibble;
  }
  bool version_7 = (uuid.bytes[6] >> 4) == 7;
  bool variant_rfc = (uuid.bytes[8] >> 6) == 2;
  if (!version_7 || !variant_rfc) return std::nullopt;
  return uuid;
}

Uuid Uuid::make_v7(std::int64_t unix_ms, std::uint16_t random_high, std::uint64_t random_low) {
  Uuid uuid;
  auto time = static_cast<std::uint64_t>(unix_ms);
  for (std::size_t i = 0; i < 6; ++i) {
    uuid.bytes[i] = static_cast<std::uint8_t>(time >> (40 - 8 * i));
  }
  uuid.bytes[6] = static_cast<std::uint8_t>(0x70 | ((random_high >> 8) & 0x0f));
  uuid.bytes[7] = static_cast<std::uint8_t>(random_high);
  for (std::size_t i = 0; i < 8; ++i) {
    uuid.bytes[8 + i] = static_cast<std::uint8_t>(random_low >> (56 - 8 * i));
  }
  uuid.bytes[8] = static_cast<std::uint8_t>(0x80 | (uuid.bytes[8] & 0x3f));
  return uuid;
}

std::optional<Uuid> Uuid::from_bytes(std::string_view raw) {
  Uuid uuid;
  if (raw.size() != uuid.bytes.size()) return std::nullopt;
  std::memcpy(uuid.bytes.data(), raw.data(), raw.size());
  return uuid;
}

void Uuid::append_to(std::string& out) const {
  std::array<char, kTextLength> text;
  char* to = text.data();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) *to++ = '-';
    *to++ = kHex[bytes[i] >> 4];
    *to++ = kHex[bytes[i] & 0x0f];
  }
  out.append(text.data(), text.size());
}

std::string Uuid::to_string() const {
  std::string text;
  append_to(text);
  return text;
}

std::int64_t Uuid::unix_ms() const {
  std::uint64_t time = 0;
  for (std::size_t i = 0; i < 6; ++i) time = (time << 8) | bytes[i];
  return static_cast<std::int64_t>(time);
}

namespace {

constexpr std::uint64_t kLowMask = 0x3fffffffffffffffULL;
constexpr std::uint16_t kHighMask = 0x0fff;

// The random bits of a version 7 UUID.
struct RandomBits {
  std::uint16_t high = 0;
  std::uint64_t low = 0;
};

RandomBits random_bits(const Uuid& uuid) {
  RandomBits bits;
  for (std::size_t i = 8; i < 16; ++i) bits.low = (bits.low << 8) | uuid.bytes[i];
  bits.low &= kLowMask;
  bits.high = static_cast<std::uint16_t>(((uuid.bytes[6] & 0x0f) << 8) | uuid.bytes[7]);
  return bits;
}

}  // namespace

Uuid Uuid::advanced(std::uint64_t by) const {
  auto [high, low] = random_bits(*this);
  auto time = unix_ms();
  low += by & kLowMask;  // two numbers of 62 bits: no overflow
  if (low > kLowMask) {
    low &= kLowMask;
    high = static_cast<std::uint16_t>((high + 1) & kHighMask);
    if (high == 0) ++time;
  }
  return make_v7(time, high, low);
}

Uuid Uuid::predecessor() const {
  auto [high, low] = random_bits(*this);
  auto time = unix_ms();
  if (low == 0) {
    if (high == 0) --time;
    high = static_cast<std::uint16_t>((high - 1) & kHighMask);
  }
  low = (low - 1) & kLowMask;
  return make_v7(time, high, low);
}

Uuid RandomIdSource::next(std::int64_t unix_ms) {
  // One call into the generator serves 256 ids.
  struct Pool {
    std::array<unsigned char, 4096> bytes;
    std::size_t used = sizeof(bytes);
  };
  thread_local Pool pool;
  constexpr std::size_t kNeeded = sizeof(std::uint64_t) + sizeof(std::uint16_t);
  if (pool.used + kNeeded > pool.bytes.size()) {
    if (RAND_bytes(pool.bytes.data(), static_cast<int>(pool.bytes.size())) != 1) {
      throw internal_error("RAND_bytes failed");
    }
    pool.used = 0;
  }
  std::uint64_t low = 0;
  std::uint16_t high = 0;
  std::memcpy(&low, pool.bytes.data() + pool.used, sizeof(low));
  std::memcpy(&high, pool.bytes.data() + pool.used + sizeof(low), sizeof(high));
  pool.used += kNeeded;
  return Uuid::make_v7(unix_ms, high, low);
}

Uuid SeededIdSource::next(std::int64_t unix_ms) {
  std::scoped_lock lock(mutex_);
  auto high = static_cast<std::uint16_t>(engine_());
  return Uuid::make_v7(unix_ms, high, engine_());
}

}  // namespace colloquy
