// An absolute http or https URL, taken apart (RFC 3986). Values; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace colloquy::net {

struct Url {
  bool tls = false;
  std::string user_info;  // "user:password", still percent-encoded; empty: none
  std::string host;       // lower case; an IPv6 address without its brackets
  std::uint16_t port = 0;
  std::string target;  // path and query, at least "/"; a fragment is left out

  // host, with brackets where needed, and the port where it is not the scheme's own: as Host wants
  // it.
  std::string authority() const;
  // host:port, always with the port: as CONNECT wants it.
  std::string host_and_port() const;
};

// nullopt when it is not an absolute http(s) URL or holds spaces, control or non-ASCII characters.
std::optional<Url> parse_url(std::string_view text);

}  // namespace colloquy::net
