#include "telemetry/process_metrics.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace colloquy::telemetry {
namespace {

double resident_bytes(Metrics& metrics) {
  for (const auto& family : metrics.collect()) {
    if (family.name == "process_resident_memory_bytes") return family.metric.at(0).gauge.value;
  }
  return 0;
}

TEST(ProcessMetrics, TellMemoryThatWasTouched) {
  Metrics metrics;
  measure_process(metrics);
  const double before = resident_bytes(metrics);
  EXPECT_GT(before, 1'000'000);
  const std::vector<char> touched(64'000'000, 'x');
  EXPECT_GT(resident_bytes(metrics), before + 32'000'000) << touched.size();
}

}  // namespace
}  // namespace colloquy::telemetry
