// The query of a request's target, decoded. The connection calls this before the handler runs.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace colloquy::http {

// Appends the names and values of an application/x-www-form-urlencoded query, in order; a name
// without '=' has an empty value. False when one of them cannot be decoded (see percent_decode).
bool parse_query(std::string_view query, std::vector<std::pair<std::string, std::string>>& pairs);

}  // namespace colloquy::http
