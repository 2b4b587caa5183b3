#include "telemetry/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace colloquy::telemetry {
namespace {

using ::testing::HasSubstr;

TEST(Metrics, RendersWhatWasCounted) {
  Metrics metrics;
  auto& counter = metrics.counter("turns_total", "Turns.", {{"outcome", "stop"}});
  counter.Increment();
  counter.Increment(2);
  metrics.histogram("wait_seconds", "Wait.", latency_buckets()).Observe(0.2);
  auto text = metrics.render();
  EXPECT_THAT(text, HasSubstr("turns_total{outcome=\"stop\"} 3"));
  EXPECT_THAT(text, HasSubstr("wait_seconds_bucket{le=\"0.25\"} 1"));
  EXPECT_THAT(text, HasSubstr("wait_seconds_bucket{le=\"0.1\"} 0"));
}

TEST(Metrics, TheSameNameAndLabelsAreTheSameMetric) {
  Metrics metrics;
  metrics.counter("a_total", "A.").Increment();
  metrics.counter("a_total", "A.").Increment();
  EXPECT_THAT(metrics.render(), HasSubstr("a_total 2"));
}

TEST(Metrics, HooksRunBeforeEachRendering) {
  Metrics metrics;
  auto& gauge = metrics.gauge("size_bytes", "Size.");
  double size = 0;
  metrics.before_render([&] { gauge.Set(++size); });
  metrics.render();
  EXPECT_THAT(metrics.render(), HasSubstr("size_bytes 2"));
}

}  // namespace
}  // namespace colloquy::telemetry
