#include "chat/token_count.h"

#include <utility>

#include "llm/token_estimate.h"

namespace colloquy::chat {
TokenCounter::TokenCounter(llm::Provider& provider, std::string model)
    : provider_(provider),
      model_(std::move(model)),
      estimates_(!provider.count_tokens(model_, std::string_view())) {}

std::size_t TokenCounter::text(std::string_view text) const {
  auto exact = estimates_ ? std::nullopt : provider_.count_tokens(model_, text);
  return exact ? *exact : llm::estimate_tokens(text);
}

std::size_t TokenCounter::message(std::string_view text) const {
  if (text.empty()) return 0;
  return this->text(text) + (estimates_ ? kTokensAroundMessage : 0);
}

}  // namespace colloquy::chat
