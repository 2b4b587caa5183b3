// An estimate as people and as programs read it. Pure; any thread.
#pragma once

#include <string>

#include "cost/estimate.h"

namespace colloquy::cost {

// Lines of text, each with the source document's figures beside ours.
std::string to_text(const Estimate& estimate, const Units& units, const Prices& prices);
// One object (docs/cost.md), with a line feed behind it.
std::string to_json(const Estimate& estimate, const Units& units, const Prices& prices);

}  // namespace colloquy::cost
