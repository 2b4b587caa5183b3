// Which requests go through the CONNECT proxy. Immutable; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/url.h"

namespace colloquy::net {

class ProxySettings {
 public:
  // `proxy_url` is http://[user:password@]host[:port], or empty for none; `no_proxy` is a list of
  // host names or addresses, split by commas: each also covers the names below it, a leading dot
  // or "*." is ignored, ":port" narrows it, "*" covers everything. Throws Error(kInvalid).
  ProxySettings(std::string_view proxy_url, std::string_view no_proxy);

  // The proxy for this URL; nullptr when it is reached directly, as every http:// URL is.
  const Url* proxy_for(const Url& url) const;
  // The value of Proxy-Authorization; empty when the proxy's URL names no user.
  const std::string& authorization() const { return authorization_; }

 private:
  std::optional<Url> proxy_;
  std::string authorization_;
  std::vector<std::string> direct_;
};

}  // namespace colloquy::net
