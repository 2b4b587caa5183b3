// Cuts words that are so long that nobody writes them. llama.cpp's tokenizers of many models match
// regular expressions by recursion, whose depth is the length of the word: one of some 16,000
// characters overflows the stack of the process. Pure function.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace colloquy::llm {

inline constexpr std::size_t kWordBytesMax = 2000;

// The text in pieces, in whole UTF-8 characters: one piece unless it holds a word, or white space,
// of more than `bytes_max` bytes.
std::vector<std::string_view> cut_long_words(std::string_view text,
                                             std::size_t bytes_max = kWordBytesMax);

}  // namespace colloquy::llm
