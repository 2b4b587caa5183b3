// The two ways in which AWS writes a time. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace colloquy::aws {

// Unix time in milliseconds as Signature Version 4 wants it: "20150830T123600Z".
std::string basic_timestamp(std::int64_t time_ms);

// The Unix time in milliseconds of an ISO 8601 time with a zone ("2015-08-30T12:36:00Z",
// "…:00.123Z", "…:00+00:00"); nullopt when it is none. Digits past milliseconds are cut off.
std::optional<std::int64_t> parse_timestamp(std::string_view text);

}  // namespace colloquy::aws
