#include "base/http_date.h"

#include <ctime>

namespace colloquy {

std::optional<std::int64_t> parse_http_date(const std::string& text) {
  std::tm time{};
  const char* end = strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &time);
  if (end != text.c_str() + text.size()) return std::nullopt;
  const auto seconds = static_cast<std::int64_t>(timegm(&time));
  if (seconds > kLastHttpDateSeconds) return std::nullopt;  // a leap second after it
  return seconds;
}

}  // namespace colloquy
