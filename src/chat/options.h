// What an operator sets of the conversation service.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/limits.h"
#include "store/types.h"

namespace colloquy::chat {

struct ChatOptions {
  // Of conversations that say nothing of their own. Without a number, the tokens alone decide.
  std::optional<std::size_t> context_messages = limits::kContextMessagesDefault;
  std::size_t context_tokens = 0;  // 0: no budget
  bool context_summary = false;
  std::size_t max_tokens_default = 0;  // of an answer; 0: the model's own
  std::size_t max_content_bytes = limits::kContentBytesDefault;
  std::int64_t temporary_ttl_seconds = 24LL * 60 * 60;
  std::size_t max_turns = 1000;  // running at once on this server
  std::chrono::milliseconds turn_timeout{600'000};
  // How often what was said so far is saved while an answer is made; 0: never.
  std::chrono::milliseconds partial_save_interval{0};

  store::ContextSettings context() const {
    store::ContextSettings settings;
    if (context_messages) settings.messages = static_cast<std::uint32_t>(*context_messages);
    if (context_tokens > 0) settings.tokens = static_cast<std::uint32_t>(context_tokens);
    settings.summary = context_summary;
    return settings;
  }
};

}  // namespace colloquy::chat
