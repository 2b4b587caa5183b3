#include "telemetry/process_metrics.h"

#include <unistd.h>

#include <fstream>

namespace colloquy::telemetry {

void measure_process(Metrics& metrics) {
  auto& memory = metrics.gauge("process_resident_memory_bytes",
                               "Memory of the process that is in the machine's memory.");
  metrics.before_render([&memory] {
    std::ifstream file("/proc/self/statm");
    double all_pages = 0;
    double resident_pages = 0;
    if (!(file >> all_pages >> resident_pages)) return;
    memory.Set(resident_pages * static_cast<double>(sysconf(_SC_PAGESIZE)));
  });
}

}  // namespace colloquy::telemetry
