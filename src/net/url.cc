#include "net/url.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"

namespace colloquy::net {
namespace {

bool printable_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

bool host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

bool address_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == ':' || c == '.';
}

// Splits "host[:port]" or "[address][:port]" into url; false when it is neither.
bool parse_host_and_port(std::string_view text, Url& url) {
  std::string_view port;
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == std::string_view::npos) return false;
    url.host = text.substr(1, end - 1);
    port = text.substr(end + 1);
  } else {
    const auto colon = std::min(text.find(':'), text.size());
    url.host = text.substr(0, colon);
    port = text.substr(colon);
  }
  url.host = ascii_lower(std::move(url.host));
  if (url.host.empty() || url.host.size() > 253) return false;
  const auto allowed = text.starts_with('[') ? address_character : host_character;
  if (!std::all_of(url.host.begin(), url.host.end(), allowed)) return false;

  url.port = url.tls ? 443 : 80;
  if (port.empty() || port == ":") return port.empty();
  if (port.front() != ':') return false;
  port.remove_prefix(1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), url.port);
  return error == std::errc() && end == port.data() + port.size() && url.port != 0;
}

std::string bracketed(const std::string& host) {
  return host.find(':') == std::string::npos ? host : "[" + host + "]";
}

}  // namespace

std::string Url::authority() const {
  if (port == (tls ? 443 : 80)) return bracketed(host);
  return host_and_port();
}

std::string Url::host_and_port() const { return bracketed(host) + ":" + std::to_string(port); }

std::optional<Url> parse_url(std::string_view text) {
  if (!printable_ascii(text)) return std::nullopt;
  const auto scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos) return std::nullopt;
  const std::string scheme = ascii_lower(std::string(text.substr(0, scheme_end)));
  if (scheme != "http" && scheme != "https") return std::nullopt;

  Url url;
  url.tls = scheme == "https";
  text.remove_prefix(scheme_end + 3);
  text = text.substr(0, text.find('#'));
  const auto authority_end = std::min(text.find_first_of("/?"), text.size());
  std::string_view authority = text.substr(0, authority_end);
  url.target = text.substr(authority_end);
  if (!url.target.starts_with('/')) url.target.insert(0, "/");
  if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
    url.user_info = authority.substr(0, at);
    authority.remove_prefix(at + 1);
  }
  if (!parse_host_and_port(authority, url)) return std::nullopt;
  return url;
}

}  // namespace colloquy::net
