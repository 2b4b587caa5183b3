// What the demonstration model says: a few sentences that show which context it was given.
#pragma once

#include <string>

#include "llm/provider.h"

namespace colloquy::llm {

// Depends on the messages alone. Quotes are shortened and on one line.
std::string demo_answer(const CompletionRequest& request);

}  // namespace colloquy::llm
