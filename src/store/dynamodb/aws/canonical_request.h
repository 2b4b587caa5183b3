// The canonical form of a request, the text whose hash Signature Version 4 signs. Pure functions;
// any thread. For every service but S3, whose paths are encoded once only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "net/http_client.h"

namespace colloquy::aws {

// The path of a request line without its dot segments and empty segments, each byte encoded once
// more. An empty path is "/".
std::string canonical_path(std::string_view path);

// The query of a request line: each name and value decoded and encoded anew, sorted by name, then
// by value. '+' stands for itself; a '%' without two hexadecimal digits likewise.
std::string canonical_query(std::string_view query);

struct CanonicalHeaders {
  std::string lines;  // "name:value\n" for each, sorted
  std::string names;  // "name;name"
};

// Fields of one name are joined by commas in their order. White space around a value is left out,
// and within it made one space. What intermediaries may change is not signed (Connection,
// User-Agent, Transfer-Encoding and the like), nor is Authorization.
CanonicalHeaders canonical_headers(const std::vector<net::HeaderField>& headers);

}  // namespace colloquy::aws
