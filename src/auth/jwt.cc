#include "auth/jwt.h"

#include <utility>

#include "auth/base64url.h"
#include "auth/strict_json.h"
#include "base/text.h"

namespace colloquy::auth {
namespace {

// Access tokens name no type, "JWT" or "at+jwt" (RFC 9068); logout tokens, security events and the
// like name their own.
bool is_access_token_type(std::string_view type) {
  auto lower = ascii_lower(std::string(type));
  constexpr std::string_view kPrefix = "application/";
  if (lower.starts_with(kPrefix)) lower.erase(0, kPrefix.size());
  return lower == "jwt" || lower == "at+jwt";
}

boost::json::object decode_object(std::string_view part) {
  const auto text = base64url_decode(part);
  if (!text) throw unauthenticated("The token is not in the compact form of a signed token.");
  auto object = parse_strict_object(*text);
  if (!object) throw unauthenticated("A part of the token is not a JSON object.");
  return std::move(*object);
}

// The header's member, which must be a string where it is there.
std::optional<std::string> header_string(const boost::json::object& header, const char* name) {
  if (!header.contains(name)) return std::nullopt;
  const auto* text = string_member(header, name);
  if (text == nullptr) throw unauthenticated("The token's header is malformed.");
  return std::string(text->data(), text->size());
}

}  // namespace

Error unauthenticated(std::string message) {
  return {ErrorCode::kUnauthenticated, std::move(message)};
}

Jwt parse_jwt(std::string_view token) {
  if (token.size() > kTokenBytesMax) throw unauthenticated("The token is too long.");
  const auto first = token.find('.');
  const auto second = first == token.npos ? token.npos : token.find('.', first + 1);
  if (second == token.npos || token.find('.', second + 1) != token.npos) {
    throw unauthenticated("The token is not in the compact form of a signed token.");
  }
  const auto header = decode_object(token.substr(0, first));
  if (header.contains("crit")) {
    throw unauthenticated("The token needs an extension that is not supported.");
  }
  Jwt jwt;
  auto algorithm = header_string(header, "alg");
  if (!algorithm) throw unauthenticated("The token does not say how it was signed.");
  jwt.algorithm = std::move(*algorithm);
  jwt.key_id = header_string(header, "kid");
  const auto type = header_string(header, "typ");
  if (type && !is_access_token_type(*type)) {
    throw unauthenticated("The token is not an access token.");
  }
  jwt.claims = decode_object(token.substr(first + 1, second - first - 1));
  jwt.signed_text = token.substr(0, second);
  auto signature = base64url_decode(token.substr(second + 1));
  if (!signature) throw unauthenticated("The token's signature is malformed.");
  jwt.signature = std::move(*signature);
  return jwt;
}

}  // namespace colloquy::auth
