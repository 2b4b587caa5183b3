// Counters, gauges and histograms, rendered as Prometheus text.
//
// Thread-safe. Look a metric up once and keep the reference: it lives as long as
// the Metrics. A name is registered on first use; labels must be of a small,
// bounded set (a route's template, never a path). Units stand in the name
// (`_seconds`, `_bytes`); a counter's name ends in `_total`.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/metric_family.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace colloquy::telemetry {

using Labels = std::map<std::string, std::string>;
using Counter = prometheus::Counter;      // Increment(amount)
using Gauge = prometheus::Gauge;          // Set, Increment, Decrement
using Histogram = prometheus::Histogram;  // Observe(value)

// Upper bounds in seconds, from 100 microseconds to a minute.
const std::vector<double>& latency_buckets();
// Powers of two from 1 to 4096.
const std::vector<double>& count_buckets();

class Metrics {
 public:
  Metrics();
  ~Metrics();

  Counter& counter(const std::string& name, const std::string& help, const Labels& labels = {});
  Gauge& gauge(const std::string& name, const std::string& help, const Labels& labels = {});
  Histogram& histogram(const std::string& name, const std::string& help,
                       const std::vector<double>& buckets, const Labels& labels = {});

  // Runs before each rendering and collecting, to set gauges whose value is read elsewhere.
  void before_render(std::function<void()> hook);
  // Prometheus text exposition format 0.0.4.
  std::string render();
  // What render() tells, for telemetry's own.
  std::vector<prometheus::MetricFamily> collect();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace colloquy::telemetry
