// `colloquy restore --store dynamodb`: new tables as the old ones were at a second. Writes what it
// did to `out`, and what it waits for to standard error; returns the exit status, and throws Error
// and ConfigError for what ends it. Running it again goes on.
#pragma once

#include <iosfwd>

#include "config/config.h"

namespace colloquy {

int restore_tables(const config::RestoreConfig& config, std::ostream& out);

}  // namespace colloquy
