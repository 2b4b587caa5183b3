// `colloquy keys`.
#pragma once

#include <ostream>

#include "config/config.h"

namespace colloquy {

// Throws Error and ConfigError.
int run_keys(const config::KeysCommand& command, std::ostream& out);

}  // namespace colloquy
