#include "chat/token_count.h"

#include <algorithm>
#include <utility>

#include "llm/token_estimate.h"

namespace colloquy::chat {
TokenCounter::TokenCounter(llm::Provider& provider, std::string model)
    : provider_(provider),
      model_(std::move(model)),
      bytes_left_(kTokenizedBytesMost),
      estimates_(!provider.count_tokens(model_, std::string_view())) {
  if (estimates_) bytes_left_ = 0;
}

std::size_t TokenCounter::message(std::string_view text) {
  if (text.empty()) return 0;
  const auto bytes = std::min(text.size(), llm::kCountedBytesMax);
  if (text.size() > bytes || bytes > bytes_left_) estimates_ = true;
  if (bytes <= bytes_left_) {
    bytes_left_ -= bytes;
    if (const auto tokens = provider_.count_tokens(model_, text)) return *tokens;
    estimates_ = true;
  }
  return llm::estimate_tokens(text) + kTokensAroundMessage;
}

}  // namespace colloquy::chat
