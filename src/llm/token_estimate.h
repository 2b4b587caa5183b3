// How many tokens a text is for a model whose tokenizer is not known. It is made to come out above
// the count of the byte-pair tokenizers in use rather than below it, in every script: letters of
// ASCII count a token for four of a word (for two of what is too long for one), digits one for two,
// every other sign of ASCII and every line break one, letters of other alphabets one for each,
// Chinese, Japanese and Korean ones 1.5 for each, whatever lies beyond the basic plane (most emoji)
// three.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace colloquy::llm {

// Of a text that comes in pieces, however it is cut. Not thread-safe.
class TokenEstimate {
 public:
  void add(std::string_view text);
  // Of all that was added.
  std::size_t tokens() const;

 private:
  enum class Kind : std::uint8_t { kNone, kLetter, kDigit, kSpace };
  void end_run();
  std::size_t halves_of_run() const;

  std::size_t halves_ = 0;  // half tokens, of all but the run
  Kind kind_ = Kind::kNone;
  std::size_t run_ = 0;  // how many characters of one kind came last
  bool after_upper_ = true;
};

// Pure; any thread.
std::size_t estimate_tokens(std::string_view text);

}  // namespace colloquy::llm
