// JSON from strangers: one object, valid UTF-8, no name twice, bounded depth.
#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string_view>

namespace colloquy::auth {

// Nullopt unless `text` is exactly one JSON object (RFC 8259), nested at most 16
// deep, in which no object has a name twice (RFC 7515 section 4, RFC 7519
// section 4: two parsers must never read two different tokens).
std::optional<boost::json::object> parse_strict_object(std::string_view text);

// The string member `name`; nullptr when it is missing or not a string.
const boost::json::string* string_member(const boost::json::object& object, std::string_view name);

}  // namespace colloquy::auth
