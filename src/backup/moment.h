// Moments as people write them (RFC 3339). Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace colloquy::backup {

// What parse_moment takes, in words.
inline constexpr std::string_view kMomentForm =
    "2026-11-22T10:15:00Z, with Z or an offset such as +01:00";

// 2026-11-22T10:15:00Z, 2026-11-22T10:15:00.250Z or 2026-11-22T11:15:00+01:00 as Unix milliseconds;
// nullopt for what is no moment. Without a fraction it is the second's beginning.
std::optional<std::int64_t> parse_moment(std::string_view text);

// 2026-11-22T10:15:00.250Z; without milliseconds where they are zero.
std::string to_text_utc(std::int64_t unix_ms);

}  // namespace colloquy::backup
