// What Boost.Beast's parsers must be spared of a chunked body (RFC 9112, 7.1).
#pragma once

#include <string_view>

namespace colloquy {

// Whether these bytes, all that is there of a chunked body's rest, may be a cut "0\r\n\r\n". Beast
// before Boost 1.86 asserts that where the last chunk is the first one, too, what is behind it
// comes with it (boostorg/beast#2861), so that they wait for the next byte. There always is one,
// also where they are data: of a body that is complete.
constexpr bool may_be_cut_last_chunk(std::string_view bytes) {
  return bytes.size() < 5 && bytes.starts_with("0\r\n");
}

}  // namespace colloquy
