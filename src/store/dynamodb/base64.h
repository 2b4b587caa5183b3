// Base64 with padding (RFC 4648 section 4): how the service's JSON carries bytes. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace colloquy::store::dynamodb {

std::string base64_encode(std::string_view bytes);
// nullopt: not base64.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace colloquy::store::dynamodb
