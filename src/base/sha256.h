// SHA-256 (FIPS 180-4) of a text in pieces, and what digests are used as. Thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

namespace colloquy {

// The digest of the pieces one after the other. Throws kInternal where OpenSSL has none.
std::array<std::uint8_t, 32> sha256(std::initializer_list<std::string_view> pieces);

// The same bytes as a text.
std::string_view bytes_of(std::span<const std::uint8_t> digest);
// The first eight bytes, the most significant first.
std::uint64_t leading_number(std::span<const std::uint8_t, 32> digest);

}  // namespace colloquy
