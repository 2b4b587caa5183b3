// The demonstration model's tokens: a word with the white space before it, long words in pieces.
#pragma once

#include <cstddef>
#include <string_view>

namespace colloquy::llm {

// The size in bytes of the first token of a text that is not empty: white space and then at most
// kTokenCharacters characters of a word, always whole UTF-8 characters.
std::size_t first_token_bytes(std::string_view text);
std::size_t count_demo_tokens(std::string_view text);

inline constexpr std::size_t kTokenCharacters = 16;

}  // namespace colloquy::llm
