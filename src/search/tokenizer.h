// Takes text apart into what is searched for: words, without case and accents.
//
// A word is a run of letters and digits, folded: compatibility decomposition and case folding
// (Unicode 14, UAX 15 and the Unicode Standard, section 3.13), then without the marks that Latin,
// Greek, Cyrillic, Hebrew and Arabic can do without. Scripts that put no spaces between words (Han,
// kana, Hangul, Thai, Lao, Khmer, Myanmar), and symbols such as emoji, become pairs of neighbouring
// characters, and the last character of a run stands alone as well: 中国人 is 中国 国人 人. So
// every part of such a run is found, however a reader would divide it.
//
// A token holds ASCII letters and digits, in lower case, and bytes above 0x7f; nothing else. Any
// bytes are accepted; what is not UTF-8 separates words. Pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace colloquy::search {

// Longer words are cut to it, in texts and in queries alike.
inline constexpr std::size_t kTokenBytes = 64;

struct Token {
  enum class Kind : std::uint8_t {
    kWord,
    kPair,  // two neighbouring characters of a script without spaces
    kLast,  // the last character of a run of two or more
    kLone,  // a run of one character
  };
  std::string text;
  std::size_t begin = 0;  // where it stands in the text: bytes from … to before …
  std::size_t end = 0;
  Kind kind = Kind::kWord;
  bool operator==(const Token&) const = default;
};

std::vector<Token> tokenize(std::string_view text);

}  // namespace colloquy::search
