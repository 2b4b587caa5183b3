#include "auth/user_id.h"

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/limits.h"

namespace colloquy::auth {
namespace {

// Takes one code point off the front of `text`; nullopt where it is not valid UTF-8.
std::optional<std::uint32_t> take_code_point(std::string_view& text) {
  const auto lead = static_cast<std::uint8_t>(text.front());
  std::size_t length = 1;
  std::uint32_t smallest = 0;
  std::uint32_t code_point = lead;
  if (lead >= 0x80) {
    if ((lead & 0xe0) == 0xc0) {
      length = 2, smallest = 0x80, code_point = lead & 0x1f;
    } else if ((lead & 0xf0) == 0xe0) {
      length = 3, smallest = 0x800, code_point = lead & 0x0f;
    } else if ((lead & 0xf8) == 0xf0) {
      length = 4, smallest = 0x10000, code_point = lead & 0x07;
    } else {
      return std::nullopt;
    }
  }
  if (text.size() < length) return std::nullopt;
  for (std::size_t i = 1; i < length; ++i) {
    const auto next = static_cast<std::uint8_t>(text[i]);
    if ((next & 0xc0) != 0x80) return std::nullopt;
    code_point = (code_point << 6) | (next & 0x3fU);
  }
  const bool surrogate = code_point >= 0xd800 && code_point <= 0xdfff;
  if (code_point < smallest || code_point > 0x10ffff || surrogate) return std::nullopt;
  text.remove_prefix(length);
  return code_point;
}

bool is_control(std::uint32_t code_point) {
  return code_point < 0x20 || (code_point >= 0x7f && code_point <= 0x9f);
}

}  // namespace

bool is_user_id(std::string_view text) {
  if (text.empty() || text.size() > limits::kUserIdBytes) return false;
  while (!text.empty()) {
    const auto code_point = take_code_point(text);
    if (!code_point || is_control(*code_point)) return false;
  }
  return true;
}

}  // namespace colloquy::auth
