// Which of the earlier messages the model is given. Pure functions.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "llm/provider.h"
#include "store/types.h"

namespace colloquy::chat {

using CountTokens = std::function<std::size_t(std::string_view)>;

struct ContextPolicy {
  std::size_t newest_messages = 0;  // exactly so many of the newest that have a text
  std::size_t token_budget = 0;     // of everything that the model is given; 0: none
};

// The system prompt (if any), then the newest of `history` (oldest first) that fit, then the
// prompt. A token budget cuts from the old end in whole pairs: an answer never stays without its
// question. The system prompt and the prompt always stay. Messages without a text (an answer that
// is still running) are left out, and take no place among the newest.
std::vector<llm::ChatMessage> build_context(const std::string& system_prompt,
                                            const std::vector<store::Message>& history,
                                            const std::string& prompt, const ContextPolicy& policy,
                                            const CountTokens& count_tokens);

}  // namespace colloquy::chat
