// Which settings go together.
#pragma once

#include "config/config.h"

namespace colloquy::config {

// What no single setting can see: one that needs another, or that has no effect beside it. Throws
// ConfigError that names both.
void check_together(const ServeConfig& config);
void check_together(const KeysConfig& config);
// Also gives both sides of a move the tables that the settings name, where it names none.
void check_together(MigrateConfig& config);
void check_together(const RestoreConfig& config);
void check_together(const CostConfig& config);

}  // namespace colloquy::config
