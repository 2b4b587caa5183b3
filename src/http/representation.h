// Header fields about what is sent or stored as it is: ranges, digests, the name to save it under.
// Pure functions, callable from any thread; none throws on what a client sends.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"

namespace colloquy::http {

// What a Range field (RFC 9110, 14.2) asks for, of a representation of so many bytes.
struct RangeChoice {
  enum class Kind : std::uint8_t { kWhole, kPart, kUnsatisfiable };
  Kind kind = Kind::kWhole;
  std::uint64_t first = 0;  // of kPart
  std::uint64_t bytes = 0;  // of kPart: at least 1
};
// The whole, as the standard allows, also for several ranges, for another unit than bytes and for
// what cannot be understood. Never past the end.
RangeChoice choose_range(std::string_view range, std::uint64_t bytes);

// Whether a Range counts (RFC 9110, 13.1.5): `if_range` is the strong tag, without quotes in `tag`.
// A date never holds: within a second a file may change twice.
bool if_range_holds(std::string_view if_range, std::string_view tag);

// The digests of a Content-Digest (RFC 9530) that are understood, still in base64; the last where
// one is repeated. `others`: there are digests of other algorithms.
struct ContentDigest {
  std::string sha256;
  std::string sha512;
  bool others = false;
};
// Of all headers of that name. nullopt: not a dictionary of byte sequences (RFC 8941, 3.2).
std::optional<ContentDigest> parse_content_digest(const Request& request);

// Content-Disposition (RFC 6266): `type`, and a name in UTF-8 without control characters, which is
// given a second time where it does not fit into a quoted string of ASCII (RFC 8187).
std::string content_disposition(std::string_view type, std::string_view file_name);

}  // namespace colloquy::http
