// Base64url without padding (RFC 4648 section 5, as RFC 7515 wants it).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace colloquy::auth {

std::string base64url_encode(std::string_view bytes);

// Strict: padding, white space, other characters, an impossible length and bits
// left over that are not zero are all nullopt, so each value has one spelling.
std::optional<std::string> base64url_decode(std::string_view text);

}  // namespace colloquy::auth
