// Finds stop strings in a text that comes in pieces, and lets through only what cannot be the
// beginning of one. Not thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace colloquy::llm {

class StopScanner {
 public:
  // Empty stop strings are ignored.
  explicit StopScanner(std::vector<std::string> stop);

  // What may be shown now: all that came and was not returned yet, up to the first stop string, or
  // to where one may have begun. Nothing after a stop string.
  std::string push(std::string_view text);
  bool stopped() const { return stopped_; }
  // At the end of the text: what was held back was no stop string.
  std::string flush();

 private:
  std::vector<std::string> stop_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace colloquy::llm
