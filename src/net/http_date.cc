#include "net/http_date.h"

#include <ctime>

namespace colloquy::net {

std::optional<std::int64_t> parse_http_date(const std::string& text) {
  std::tm time{};
  const char* end = strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &time);
  if (end == nullptr || *end != '\0') return std::nullopt;
  return static_cast<std::int64_t>(timegm(&time));
}

}  // namespace colloquy::net
