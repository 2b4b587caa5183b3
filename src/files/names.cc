#include "files/names.h"

#include <algorithm>

#include "base/sha256.h"
#include "base/text.h"

namespace colloquy::files {
namespace {

bool is_letter_or_digit(char c) {
  const char lower = ascii_lower(c);
  return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9');
}

// One character and its bytes in well-formed UTF-8 (Unicode 15, table 3-7); 0 bytes for none.
struct Character {
  char32_t code = 0;
  std::size_t bytes = 0;
};

Character first_character(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  std::size_t bytes = 0;
  char32_t code = 0;
  char32_t least = 0;
  if (lead < 0x80) {
    return {lead, 1};
  } else if ((lead & 0xE0U) == 0xC0) {
    bytes = 2, code = lead & 0x1FU, least = 0x80;
  } else if ((lead & 0xF0U) == 0xE0) {
    bytes = 3, code = lead & 0x0FU, least = 0x800;
  } else if ((lead & 0xF8U) == 0xF0) {
    bytes = 4, code = lead & 0x07U, least = 0x10000;
  }
  if (bytes == 0 || text.size() < bytes) return {};
  for (std::size_t i = 1; i < bytes; ++i) {
    const auto next = static_cast<unsigned char>(text[i]);
    if ((next & 0xC0U) != 0x80) return {};
    code = code << 6U | (next & 0x3FU);
  }
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  if (code < least || code > 0x10FFFF || surrogate) return {};
  return {code, bytes};
}

bool is_control(char32_t code) {
  return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x2028 || code == 0x2029;
}

}  // namespace

std::string folder_of(const UserId& user) {
  const std::string& id = user.value();
  std::string name;
  for (std::size_t i = 0; i < id.size(); ++i) {
    const bool plain = is_letter_or_digit(id[i]) || id[i] == '_' ||
                       (i > 0 && (id[i] == '-' || id[i] == '.' || id[i] == '@'));
    if (plain) {
      name.push_back(id[i]);
    } else {
      static constexpr std::string_view kDigits = "0123456789ABCDEF";
      const auto byte = static_cast<unsigned char>(id[i]);
      name.append({'%', kDigits[byte >> 4U], kDigits[byte & 0xFU]});
    }
  }
  if (name.empty()) return "%";  // which no other id gives
  if (name.size() <= kNameBytes) return name;
  const auto digest = sha256({id});
  const std::string end = "%~" + to_hex(bytes_of(digest));
  name.resize(kNameBytes - end.size());
  return name + end;
}

bool is_name(std::string_view name) {
  if (name.empty() || name.size() > kNameBytes || name == "." || name == "..") return false;
  while (!name.empty()) {
    const auto [code, bytes] = first_character(name);
    if (bytes == 0 || is_control(code) || code == '/' || code == '\\') return false;
    name.remove_prefix(bytes);
  }
  return true;
}

std::vector<std::string> names_of(std::string_view path) {
  std::vector<std::string> names;
  for (;;) {
    const std::size_t end = std::min(path.find('/'), path.size());
    names.emplace_back(path.substr(0, end));
    if (end == path.size()) return names;
    path.remove_prefix(end + 1);
  }
}

std::optional<std::string> refusal_of_path(std::string_view path) {
  if (path.size() > kPathBytes) {
    return "must be at most " + std::to_string(kPathBytes) + " bytes";
  }
  const auto names = names_of(path);
  if (names.size() > kPathNames) {
    return "must have at most " + std::to_string(kPathNames) + " names";
  }
  for (const auto& name : names) {
    if (name.size() > kNameBytes) {
      return "must have names of at most " + std::to_string(kNameBytes) + " bytes";
    }
    if (!is_name(name)) {
      return "must be names with / between them: none empty, . or .., and none with a control "
             "character or a backslash";
    }
  }
  return std::nullopt;
}

}  // namespace colloquy::files
