// The three parts of a signed token (JWS compact form, RFC 7515 section 3.1),
// taken apart strictly. Nothing here is verified yet.
#pragma once

#include <boost/json/object.hpp>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/limits.h"

namespace colloquy::auth {

inline constexpr std::size_t kTokenBytesMax = 16 * limits::kKiB;

struct Jwt {
  std::string algorithm;  // the header's `alg` as it stands
  std::optional<std::string> key_id;
  boost::json::object claims;
  std::string_view signed_text;  // header and payload as they were signed; part of the token given
  std::string signature;         // decoded; empty where the third part is
};

// Throws Error kUnauthenticated for anything but three parts of base64url without padding, the
// first two of which are JSON objects, within kTokenBytesMax. A header with `crit` is refused, for
// no extension is understood (RFC 7515 section 4.1.11), and a `typ` that says this is another kind
// of token (RFC 8725 section 3.11). The result points into `token`.
Jwt parse_jwt(std::string_view token);

// The error of every token that is not good enough; `message` ends in a full stop.
Error unauthenticated(std::string message);

}  // namespace colloquy::auth
