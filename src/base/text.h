// Small operations on text that many folders need. ASCII letters only have a case; other bytes are
// left as they are, whatever the locale. Pure functions; any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace colloquy {

constexpr char ascii_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
std::string ascii_lower(std::string text);
bool equals_ignoring_case(std::string_view left, std::string_view right);

// The beginning of a UTF-8 text, at most `most` bytes of it, that cuts no character.
std::string_view cut_utf8(std::string_view text, std::size_t most);

// Every byte as %XX (upper case) but RFC 3986's unreserved ones and those of `also_kept`.
std::string percent_encode(std::string_view bytes, std::string_view also_kept = {});

// Two lower-case digits for each byte (RFC 4648 section 8, in lower case).
std::string to_hex(std::string_view bytes);
// nullopt for what to_hex does not make.
std::optional<std::string> from_hex(std::string_view digits);

}  // namespace colloquy
