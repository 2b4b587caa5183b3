// What stands inside header fields (RFC 9110). Pure functions, callable from any thread; none
// throws on what a client sends.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "http/message.h"

namespace colloquy::http {

std::string_view trim(std::string_view text);  // of spaces and tabs at both ends

// The next element of a comma-separated list, trimmed, taken off the front of `list`; commas in
// quoted strings do not separate. nullopt at the end. Empty elements are passed over.
std::optional<std::string_view> next_list_element(std::string_view& list);

// The entity tags of a condition such as If-Match (RFC 9110, 8.8.3 and 13.1.1).
struct EntityTags {
  bool any = false;                      // "*"
  std::vector<std::string_view> strong;  // what stands between the quotes
  std::vector<std::string_view> weak;    // only for If-None-Match of a read: these match too
};

// Understands what all headers of that name say together; the views are into the request.
// nullopt when it is neither "*" nor a list of at least one tag.
std::optional<EntityTags> parse_entity_tags(const Request& request, std::string_view name);

// A field name or another RFC 9110 token.
bool is_token(std::string_view text);

// True when an Accept-Encoding (RFC 9110, 12.5.3) asks for or allows gzip: named, or by "*", with
// a weight above zero. An absent field does not ask for it.
bool accepts_gzip(std::string_view accept_encoding);

// Adds a field name to the response's Vary, unless it is there already or Vary is "*".
void add_vary(Response& response, std::string_view name);

}  // namespace colloquy::http
