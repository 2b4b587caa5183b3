#include "chat/token_count.h"

#include <utility>

namespace colloquy::chat {
namespace {

enum class Kind { kNone, kLetter, kDigit, kSpace };

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

// How many characters of a run make one token.
std::size_t run_for_token(Kind kind, std::size_t run) {
  switch (kind) {
    case Kind::kLetter:
      return run > kLongestWord ? 2 : 4;
    case Kind::kSpace:
      return 4;
    case Kind::kDigit:
      return 2;
    case Kind::kNone:
      break;
  }
  return 1;
}

}  // namespace

std::size_t estimate_tokens(std::string_view text) {
  std::size_t halves = 0;
  Kind kind = Kind::kNone;
  std::size_t run = 0;
  bool after_upper = true;
  auto end_run = [&] {
    // A space before a word is part of it.
    bool free = kind == Kind::kSpace && run == 1;
    auto each = run_for_token(kind, run);
    if (!free) halves += 2 * ((run + each - 1) / each);
    run = 0;
  };
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    Kind next = Kind::kNone;
    if (is_letter(byte)) next = Kind::kLetter;
    if (is_digit(byte)) next = Kind::kDigit;
    if (is_blank(byte)) next = Kind::kSpace;
    bool new_word = is_upper(byte) && !after_upper;  // asInThis
    if (next != kind || new_word) end_run();
    after_upper = is_upper(byte);
    kind = next;
    if (next != Kind::kNone) {
      ++run;
    } else if (byte < 0x80) {
      halves += 2;
    } else if (byte >= 0xc0) {
      halves += halves_beyond_ascii(byte);
    }
  }
  end_run();
  return (halves + 1) / 2;
}

TokenCounter::TokenCounter(llm::Provider& provider, std::string model)
    : provider_(provider),
      model_(std::move(model)),
      estimates_(!provider.count_tokens(model_, std::string_view())) {}

std::size_t TokenCounter::text(std::string_view text) const {
  auto exact = estimates_ ? std::nullopt : provider_.count_tokens(model_, text);
  return exact ? *exact : estimate_tokens(text);
}

std::size_t TokenCounter::message(std::string_view text) const {
  if (text.empty()) return 0;
  return this->text(text) + (estimates_ ? kTokensAroundMessage : 0);
}

}  // namespace colloquy::chat
