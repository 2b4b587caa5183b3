// How a server is named in the turns that it runs: "UUID" or, where the others can reach it,
// "UUID@URL". The UUID is the process's own: another process at the same URL is another server.
// Values; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "net/url.h"

namespace colloquy::cluster {

struct Owner {
  std::string instance;
  std::optional<net::Url> url;  // http or https, nothing but host and port
};

std::string owner_text(std::string_view instance, std::string_view url);

// What comes out of a table is not called before it is looked at: a URL with a user, a path or a
// query, or that is none, is left out, and an instance that is no id makes it nullopt.
std::optional<Owner> parse_owner(std::string_view text);
// Scheme, host and port, without a path; nullopt when `text` has more than that.
std::optional<net::Url> parse_base_url(std::string_view text);
std::string url_text(const net::Url& url, std::string_view target);

}  // namespace colloquy::cluster
