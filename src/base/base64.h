// Base64 with padding (RFC 4648 section 4). Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace colloquy {

std::string base64_encode(std::string_view bytes);
// nullopt: not base64; white space is not.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace colloquy
