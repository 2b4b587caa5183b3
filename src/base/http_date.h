// The time in a Date header field. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace colloquy {

// Unix seconds of the last that can be written, which has four digits for the year.
inline constexpr std::int64_t kLastHttpDateSeconds = 253'402'300'799;

// Unix seconds of an IMF-fixdate ("Sun, 06 Nov 1994 08:49:37 GMT", RFC 9110); nullopt when it is
// none.
std::optional<std::int64_t> parse_http_date(const std::string& text);

}  // namespace colloquy
