#include "llm/utf8_repair.h"

#include <cstdint>
#include <utility>

namespace colloquy::llm {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

struct Sequence {
  std::size_t size = 0;  // of the character as its first byte says; 0: no character starts so
  std::uint8_t second_least = 0x80;
  std::uint8_t second_most = 0xBF;
};

// Table 3-7 of the Unicode standard.
Sequence sequence_of(std::uint8_t first) {
  if (first < 0x80) return {1};
  if (first >= 0xC2 && first <= 0xDF) return {2};
  if (first == 0xE0) return {3, 0xA0, 0xBF};
  if (first == 0xED) return {3, 0x80, 0x9F};
  if (first >= 0xE1 && first <= 0xEF) return {3};
  if (first == 0xF0) return {4, 0x90, 0xBF};
  if (first >= 0xF1 && first <= 0xF3) return {4};
  if (first == 0xF4) return {4, 0x80, 0x8F};
  return {};
}

// How many bytes from the front belong together, and whether they are a whole character.
struct Scan {
  std::size_t size;
  bool whole;
  bool may_go_on;  // not whole only because the text ends here
};

Scan scan(std::string_view text) {
  const Sequence sequence = sequence_of(static_cast<std::uint8_t>(text[0]));
  if (sequence.size == 0) return {1, false, false};
  for (std::size_t i = 1; i < sequence.size; ++i) {
    if (i == text.size()) return {i, false, true};
    const auto byte = static_cast<std::uint8_t>(text[i]);
    const bool fits = i == 1 ? byte >= sequence.second_least && byte <= sequence.second_most
                             : byte >= 0x80 && byte <= 0xBF;
    if (!fits) return {i, false, false};
  }
  return {sequence.size, true, false};
}

}  // namespace

std::string Utf8Repair::push(std::string_view bytes) {
  std::string text = std::exchange(pending_, {});
  text.append(bytes);
  std::string out;
  for (std::string_view rest = text; !rest.empty();) {
    const Scan next = scan(rest);
    if (next.may_go_on) {
      pending_ = rest;
      break;
    }
    out.append(next.whole ? rest.substr(0, next.size) : kReplacement);
    rest.remove_prefix(next.size);
  }
  return out;
}

std::string Utf8Repair::flush() {
  if (std::exchange(pending_, {}).empty()) return {};
  return std::string(kReplacement);
}

}  // namespace colloquy::llm
