// SHA-256 (FIPS 180-4) of a text in pieces. Thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace colloquy {

// The digest of the pieces one after the other. Throws kInternal where OpenSSL has none.
std::array<std::uint8_t, 32> sha256(std::initializer_list<std::string_view> pieces);

}  // namespace colloquy
