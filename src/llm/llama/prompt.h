// What the model reads: a conversation's messages in the words of its own chat template.
#pragma once

#include <vector>

#include "base/error.h"
#include "llm/llama/model_file.h"
#include "llm/provider.h"

namespace colloquy::llm {

// The tokens of the conversation and of the beginning of the answer. What is written in a message
// is never a control token, whatever it says. Throws Error(kInvalid) when it would surely have more
// than `tokens_max` tokens (then it is not read at all), or when the template refuses the
// conversation. May return more. Thread-safe.
std::vector<Token> prompt_tokens(const ModelFile& model, const std::vector<ChatMessage>& messages,
                                 std::size_t tokens_max);

Error too_long(std::size_t tokens_max);

}  // namespace colloquy::llm
