#include "llm/token_estimate.h"

namespace colloquy::llm {
namespace {

// No word is as long as that: it is a key, a number in letters, an address.
constexpr std::size_t kLongestWord = 16;

bool is_upper(unsigned char c) { return c >= 'A' && c <= 'Z'; }
bool is_letter(unsigned char c) { return is_upper(c) || (c >= 'a' && c <= 'z'); }
bool is_digit(unsigned char c) { return c >= '0' && c <= '9'; }
bool is_blank(unsigned char c) { return c == ' ' || c == '\t'; }

// Half tokens of the character that begins with this byte of UTF-8 (RFC 3629, section 3).
std::size_t halves_beyond_ascii(unsigned char first) {
  if (first >= 0xf0) return 6;  // beyond the basic plane
  if (first >= 0xe3) return 3;  // from U+3000 on: kana, ideographs, Hangul
  return 2;
}

}  // namespace

std::size_t TokenEstimate::halves_of_run() const {
  std::size_t each = 1;  // how many of its characters make one token
  switch (kind_) {
    case Kind::kLetter:
      each = run_ > kLongestWord ? 2 : 4;
      break;
    case Kind::kSpace:
      if (run_ == 1) return 0;  // before a word it is part of it
      each = 4;
      break;
    case Kind::kDigit:
      each = 2;
      break;
    case Kind::kNone:
      break;
  }
  return 2 * ((run_ + each - 1) / each);
}

void TokenEstimate::end_run() {
  halves_ += halves_of_run();
  run_ = 0;
}

void TokenEstimate::add(std::string_view text) {
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    Kind next = Kind::kNone;
    if (is_letter(byte)) next = Kind::kLetter;
    if (is_digit(byte)) next = Kind::kDigit;
    if (is_blank(byte)) next = Kind::kSpace;
    bool new_word = is_upper(byte) && !after_upper_;  // asInThis
    if (next != kind_ || new_word) end_run();
    after_upper_ = is_upper(byte);
    kind_ = next;
    if (next != Kind::kNone) {
      ++run_;
    } else if (byte < 0x80) {
      halves_ += 2;
    } else if (byte >= 0xc0) {
      halves_ += halves_beyond_ascii(byte);
    }
  }
}

std::size_t TokenEstimate::tokens() const { return (halves_ + halves_of_run() + 1) / 2; }

std::size_t estimate_tokens(std::string_view text) {
  TokenEstimate estimate;
  estimate.add(text);
  return estimate.tokens();
}

}  // namespace colloquy::llm
