// `colloquy backup`, `colloquy restore` and `colloquy verify`. Each writes what it did to `out`,
// and how far it has come to standard error; returns the exit status, and throws Error and
// ConfigError for what ends it.
#pragma once

#include <iosfwd>

#include "config/config.h"

namespace colloquy {

// Of a store that a server has open it asks that server.
int back_up(const config::BackupConfig& config, std::ostream& out);

// Status 2: damage leaves the store older than was asked for.
int restore_backup(const config::RestoreConfig& config, std::ostream& out);

// Status 2: something is damaged or missing.
int verify_backup(const config::VerifyConfig& config, std::ostream& out);

}  // namespace colloquy
