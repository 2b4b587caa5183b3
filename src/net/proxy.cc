#include "net/proxy.h"

#include <algorithm>
#include <cctype>

#include "base/base64.h"
#include "base/error.h"
#include "base/text.h"

namespace colloquy::net {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) {
    text.remove_prefix(1);
  }
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) {
    text.remove_suffix(1);
  }
  return text;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 &&
        hex_digit(text[i + 2]) >= 0) {
      out.push_back(static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2])));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

// `entry` is lower case and without its leading dot.
bool covers(std::string_view entry, const Url& url) {
  if (entry == "*") return true;
  const auto colon = entry.rfind(':');
  if (colon != std::string_view::npos && entry.find(':') == colon) {
    if (entry.substr(colon + 1) != std::to_string(url.port)) return false;
    entry = entry.substr(0, colon);
  }
  const std::string_view host = url.host;
  if (host == entry) return true;
  return host.size() > entry.size() && host.ends_with(entry) &&
         host[host.size() - entry.size() - 1] == '.';
}

}  // namespace

ProxySettings::ProxySettings(std::string_view proxy_url, std::string_view no_proxy) {
  proxy_url = trimmed(proxy_url);
  if (!proxy_url.empty()) {
    const bool has_scheme = proxy_url.find("://") != std::string_view::npos;
    proxy_ = parse_url(has_scheme ? std::string(proxy_url) : "http://" + std::string(proxy_url));
    if (!proxy_ || proxy_->tls) {
      throw Error(ErrorCode::kInvalid, "The proxy must be http://[user:password@]host:port.");
    }
    if (!proxy_->user_info.empty()) {
      authorization_ = "Basic " + base64_encode(percent_decoded(proxy_->user_info));
    }
  }
  while (!no_proxy.empty()) {
    const auto comma = std::min(no_proxy.find(','), no_proxy.size());
    auto entry = ascii_lower(std::string(trimmed(no_proxy.substr(0, comma))));
    no_proxy.remove_prefix(std::min(comma + 1, no_proxy.size()));
    if (entry.starts_with("*.")) entry.erase(0, 1);
    while (entry.starts_with('.')) entry.erase(0, 1);
    if (!entry.empty()) direct_.push_back(std::move(entry));
  }
}

const Url* ProxySettings::proxy_for(const Url& url) const {
  if (!proxy_ || !url.tls) return nullptr;
  const bool direct = std::any_of(direct_.begin(), direct_.end(),
                                  [&](const std::string& entry) { return covers(entry, url); });
  return direct ? nullptr : &*proxy_;
}

}  // namespace colloquy::net
