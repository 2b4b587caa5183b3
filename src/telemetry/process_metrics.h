// What the process takes of the machine, as metrics under the names that Prometheus' own
// clients use.
#pragma once

#include "telemetry/metrics.h"

namespace colloquy::telemetry {

// Registers `process_resident_memory_bytes`, read at each rendering. Linux.
void measure_process(Metrics& metrics);

}  // namespace colloquy::telemetry
