#include "telemetry/metrics.h"

#include <prometheus/family.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <mutex>

namespace colloquy::telemetry {

struct Metrics::Impl {
  prometheus::Registry registry;
  std::mutex mutex;
  std::vector<std::function<void()>> hooks;  // guarded by mutex
};

const std::vector<double>& latency_buckets() {
  static const std::vector<double> buckets{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005,
                                           0.01,   0.025,   0.05,   0.1,   0.25,   0.5,
                                           1,      2.5,     5,      10,    30,     60};
  return buckets;
}

const std::vector<double>& count_buckets() {
  static const std::vector<double> buckets{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096};
  return buckets;
}

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

Counter& Metrics::counter(const std::string& name, const std::string& help, const Labels& labels) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(impl_->registry).Add(labels);
}

Gauge& Metrics::gauge(const std::string& name, const std::string& help, const Labels& labels) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(impl_->registry).Add(labels);
}

Histogram& Metrics::histogram(const std::string& name, const std::string& help,
                              const std::vector<double>& buckets, const Labels& labels) {
  return prometheus::BuildHistogram()
      .Name(name)
      .Help(help)
      .Register(impl_->registry)
      .Add(labels, prometheus::Histogram::BucketBoundaries(buckets.begin(), buckets.end()));
}

void Metrics::before_render(std::function<void()> hook) {
  std::scoped_lock lock(impl_->mutex);
  impl_->hooks.push_back(std::move(hook));
}

std::string Metrics::render() { return prometheus::TextSerializer().Serialize(collect()); }

std::vector<prometheus::MetricFamily> Metrics::collect() {
  {
    std::scoped_lock lock(impl_->mutex);
    for (auto& hook : impl_->hooks) hook();
  }
  return impl_->registry.Collect();
}

}  // namespace colloquy::telemetry
