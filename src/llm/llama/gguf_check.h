// Whether a file can be a language model for conversations, found from its head alone, before
// gigabytes of it are read. Pure but for reading the file; blocks.
#pragma once

#include <string>

namespace colloquy::llm {

// Returns its chat template. Throws Error(kInvalid) that says in one sentence why it is refused.
std::string check_gguf(const std::string& path);

}  // namespace colloquy::llm
