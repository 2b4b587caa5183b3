// How many tokens the texts of one context are for a model: by the model's own tokenizer, where its
// provider has one, as far as a budget of bytes goes, since tokenizing holds up the event loop;
// else by an estimate (llm/token_estimate.h). What matters most is to be counted first. Not
// thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "llm/provider.h"

namespace colloquy::chat {

// What a chat template puts around each message, as an estimate.
inline constexpr std::size_t kTokensAroundMessage = 4;

// Of one context, what the tokenizer reads.
inline constexpr std::size_t kTokenizedBytesMost = std::size_t{256} * 1024;

class TokenCounter {
 public:
  // The provider outlives it. An empty `model` is the default.
  TokenCounter(llm::Provider& provider, std::string model);

  // Some of what it counted is an estimate, or all would be: there is no tokenizer.
  bool estimates() const { return estimates_; }
  // Of a message with this text; 0 for an empty one, which is not sent.
  std::size_t message(std::string_view text);

 private:
  llm::Provider& provider_;
  std::string model_;
  std::size_t bytes_left_;
  bool estimates_;
};

}  // namespace colloquy::chat
