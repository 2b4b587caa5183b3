// `colloquy migrate`: opens both sides as the settings say, moves, compares.
#pragma once

#include <iosfwd>

#include "config/config.h"

namespace colloquy {

// Writes the counts of both sides to `out`, and how far it has come to standard error. Returns the
// exit status; throws Error and ConfigError for what ends it.
int migrate_stores(const config::MigrateConfig& config, std::ostream& out);

}  // namespace colloquy
