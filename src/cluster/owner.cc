#include "cluster/owner.h"

#include "base/ids.h"

namespace colloquy::cluster {
namespace {

constexpr std::size_t kUrlBytes = 512;

}  // namespace

std::string owner_text(std::string_view instance, std::string_view url) {
  std::string text(instance);
  if (!url.empty()) text.append("@").append(url);
  return text;
}

std::optional<net::Url> parse_base_url(std::string_view text) {
  if (text.size() > kUrlBytes || text.find_first_of("?#@") != std::string_view::npos) {
    return std::nullopt;
  }
  auto url = net::parse_url(text);
  if (!url || !url->user_info.empty() || url->target != "/" || url->port == 0) return std::nullopt;
  return url;
}

std::optional<Owner> parse_owner(std::string_view text) {
  auto at = text.find('@');
  auto instance = text.substr(0, at);
  if (!Uuid::parse_v7(instance)) return std::nullopt;
  Owner owner;
  owner.instance = instance;
  if (at != std::string_view::npos) owner.url = parse_base_url(text.substr(at + 1));
  return owner;
}

std::string url_text(const net::Url& url, std::string_view target) {
  std::string text = url.tls ? "https://" : "http://";
  return text.append(url.authority()).append(target);
}

}  // namespace colloquy::cluster
