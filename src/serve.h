// The server as a process: its parts built from the configuration, run until a
// signal says stop, taken down in order. With main.cc the only place that names
// implementations.
#pragma once

#include <ostream>
#include <string>

#include "config/config.h"

namespace colloquy {

// Runs until SIGTERM or SIGINT, then ends running turns within their bound and returns the exit
// status. Says on `out` where it listens. Throws Error or ConfigError when it cannot start.
int serve(const config::ServeConfig& config, const std::string& version, std::ostream& out);

// Prints a token for the embedded default's key.
int print_token(const config::TokenConfig& config, std::ostream& out);

}  // namespace colloquy
