#include "base/base64.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace colloquy {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::uint8_t kNotBase64 = 0xff;
constexpr auto kValues = [] {
  std::array<std::uint8_t, 256> values{};
  values.fill(kNotBase64);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    values[static_cast<std::uint8_t>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return values;
}();

std::uint32_t byte(char c) { return static_cast<std::uint8_t>(c); }

}  // namespace

// Whole groups first, without a decision inside: texts of 64 KiB are encoded for every message that
// is encrypted.
std::string base64_encode(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4, '=');
  char* out = text.data();
  const auto put = [&](std::uint32_t bits, std::size_t characters) {
    for (std::size_t i = 0; i < characters; ++i) *out++ = kAlphabet[bits >> (18 - 6 * i) & 63];
  };
  std::size_t at = 0;
  for (; at + 3 <= bytes.size(); at += 3) {
    put(byte(bytes[at]) << 16 | byte(bytes[at + 1]) << 8 | byte(bytes[at + 2]), 4);
  }
  if (bytes.size() - at == 1) put(byte(bytes[at]) << 16, 2);
  if (bytes.size() - at == 2) put(byte(bytes[at]) << 16 | byte(bytes[at + 1]) << 8, 3);
  return text;
}

std::optional<std::string> base64_decode(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  if (text.ends_with("=")) text.remove_suffix(text.ends_with("==") ? 2 : 1);
  const auto value = [&](std::size_t at) -> std::uint32_t { return kValues[byte(text[at])]; };
  std::string bytes(text.size() * 3 / 4, '\0');
  char* out = bytes.data();
  const auto put = [&](std::uint32_t byte_at_the_end) {
    *out++ = static_cast<char>(byte_at_the_end & 0xff);
  };
  // kNotBase64 has a bit that no value has.
  std::uint32_t seen = 0;
  std::size_t at = 0;
  for (; at + 4 <= text.size(); at += 4) {
    const auto a = value(at);
    const auto b = value(at + 1);
    const auto c = value(at + 2);
    const auto d = value(at + 3);
    seen |= a | b | c | d;
    const auto bits = a << 18 | b << 12 | c << 6 | d;
    put(bits >> 16);
    put(bits >> 8);
    put(bits);
  }
  const auto rest = text.size() - at;
  std::uint32_t bits = 0;
  for (std::size_t i = 0; i < rest; ++i) {
    seen |= value(at + i);
    bits |= value(at + i) << (18 - 6 * i);
  }
  if (rest == 1 || (seen & 0x80) != 0) return std::nullopt;
  if (rest > 1) put(bits >> 16);
  if (rest > 2) put(bits >> 8);
  return bytes;
}

}  // namespace colloquy
