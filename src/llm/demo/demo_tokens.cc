#include "llm/demo/demo_tokens.h"

namespace colloquy::llm {
namespace {

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool starts_character(char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }

}  // namespace

std::size_t first_token_bytes(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size() && is_space(text[at])) ++at;
  std::size_t characters = 0;
  while (at < text.size() && !is_space(text[at])) {
    if (starts_character(text[at]) && characters++ == kTokenCharacters) break;
    ++at;
  }
  return at;
}

std::size_t count_demo_tokens(std::string_view text) {
  std::size_t count = 0;
  for (; !text.empty(); ++count) text.remove_prefix(first_token_bytes(text));
  return count;
}

}  // namespace colloquy::llm
