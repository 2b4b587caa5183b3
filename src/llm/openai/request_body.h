// The JSON that an OpenAI-compatible upstream is sent. Pure functions.
#pragma once

#include <string>
#include <vector>

#include "llm/openai/openai_provider.h"
#include "llm/provider.h"

namespace colloquy::llm {

// For chat templates that want user and assistant in strict alternation: neighbours of one role
// become one message, an empty line between them; answers before the first user message are
// dropped; system messages come first, as one.
std::vector<ChatMessage> strictly_alternating(const std::vector<ChatMessage>& messages);

// The body of POST /chat/completions. Contents must be valid UTF-8.
std::string request_body(const CompletionRequest& request, const OpenAiOptions& options,
                         const std::string& model, UsageInStream usage);

}  // namespace colloquy::llm
