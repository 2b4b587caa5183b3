// How many tokens a text is for a model: by the model's own tokenizer, where its provider has one,
// else by an estimate (llm/token_estimate.h). Callable from every event loop.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "llm/provider.h"

namespace colloquy::chat {

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
