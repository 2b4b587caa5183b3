// How many tokens a text is for a model: by the model's own tokenizer, where its provider has one,
// else by an estimate. Callable from every event loop.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "llm/provider.h"

namespace colloquy::chat {

// For texts whose tokenizer is not known. It is made to come out above the count of the byte-pair
// tokenizers in use rather than below it, in every script: letters of ASCII count a token for four
// of a word (for two of what is too long for one), digits one for two, every other sign of ASCII
// and every line break one, letters of other alphabets one for each, Chinese, Japanese and Korean
// ones 1.5 for each, whatever lies beyond the basic plane (most emoji) three.
std::size_t estimate_tokens(std::string_view text);

// What a chat template puts around each message, as an estimate.
inline constexpr std::size_t kTokensAroundMessage = 4;

class TokenCounter {
 public:
  // The provider outlives it. An empty `model` is the default.
  TokenCounter(llm::Provider& provider, std::string model);

  // No tokenizer: what it counts are estimates.
  bool estimates() const { return estimates_; }
  std::size_t text(std::string_view text) const;
  // Of a message with this text; 0 for an empty one, which is not sent.
  std::size_t message(std::string_view text) const;

 private:
  llm::Provider& provider_;
  std::string model_;
  bool estimates_;
};

}  // namespace colloquy::chat
