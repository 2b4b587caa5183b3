// Numbers in texts. Pure; any thread.
#pragma once

#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

namespace colloquy {

// The whole text in decimal digits, with a minus sign where the type has one; nullopt for all else,
// and for a number that does not fit.
template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number = 0;
  const char* last = text.data() + text.size();
  auto [end, error] = std::from_chars(text.data(), last, number);
  if (error != std::errc() || end != last) return std::nullopt;
  return number;
}

}  // namespace colloquy
