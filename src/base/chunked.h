// What Boost.Beast's parsers must be spared of a chunked body (RFC 9112, 7.1).
#pragma once

#include <cstddef>

namespace colloquy {

// The shortest chunked body, "0\r\n\r\n". Beast before Boost 1.86 asserts that where the last chunk
// is the first one, too, what is behind it comes with it (boostorg/beast#2861). So fewer bytes than
// these wait for more, until a chunk was seen.
inline constexpr std::size_t kLeastChunkedBytes = 5;

}  // namespace colloquy
