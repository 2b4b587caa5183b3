// Makes valid UTF-8 of a text that comes in pieces: a character that is split between two pieces
// is held back until it is whole, and what can be no character becomes U+FFFD, one for each
// maximal part as the Unicode standard recommends (3.9). Not thread-safe.
#pragma once

#include <string>
#include <string_view>

namespace colloquy::llm {

class Utf8Repair {
 public:
  // The whole characters up to now that were not returned yet.
  std::string push(std::string_view bytes);
  // At the end of the text: what was held back can become no character any more.
  std::string flush();

 private:
  std::string pending_;  // the start of a character, at most 3 bytes
};

}  // namespace colloquy::llm
