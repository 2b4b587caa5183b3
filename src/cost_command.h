// `colloquy cost`.
#pragma once

#include <iosfwd>

#include "config/config.h"

namespace colloquy {

// Writes what a month costs to `out`. Returns the exit status; throws Error for a file of prices
// that cannot be used.
int print_cost(const config::CostConfig& config, std::ostream& out);

}  // namespace colloquy
