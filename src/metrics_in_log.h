// Writes what an operator watches and alarms on to the log, in CloudWatch's Embedded Metric
// Format (--metrics-emf): which metrics, by which dimensions, and when.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <string>

#include "base/clock.h"
#include "base/task.h"
#include "config/config.h"
#include "telemetry/emf.h"
#include "telemetry/metrics.h"

namespace colloquy {

// `instance`: the process, for searching the log.
telemetry::EmfOptions emf_options(const std::string& service, const std::string& instance);

// Of one thread, the executor's.
class MetricsInLog {
 public:
  // `clock` and `metrics` outlive this, and this outlives what runs on the executor.
  MetricsInLog(const config::ServeConfig& config, const std::string& instance, const Clock& clock,
               telemetry::Metrics& metrics, const boost::asio::any_io_executor& executor);

  // Writes at each interval from now on.
  void start();
  // Writes for the last time.
  void finish();

 private:
  Task<> run();

  const std::chrono::milliseconds interval_;
  const Clock& clock_;
  telemetry::EmfLog log_;
  boost::asio::steady_timer timer_;
  bool finished_ = false;
};

}  // namespace colloquy
