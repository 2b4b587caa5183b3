#include "llm/llama/long_words.h"

namespace colloquy::llm {
namespace {

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }

}  // namespace

std::vector<std::string_view> cut_long_words(std::string_view text, std::size_t bytes_max) {
  std::vector<std::string_view> pieces;
  std::size_t piece = 0;  // where the present one begins
  std::size_t word = 0;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (is_space(text[i]) != is_space(text[i - 1])) word = i;
    // Bytes that are no UTF-8 are cut anywhere in the end.
    const bool may_cut = begins_character(text[i]) || i - word >= bytes_max + 4;
    if (i - word < bytes_max || !may_cut) continue;
    pieces.push_back(text.substr(piece, i - piece));
    piece = i;
    word = i;
  }
  pieces.push_back(text.substr(piece));
  return pieces;
}

}  // namespace colloquy::llm
