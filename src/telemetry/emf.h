// Metrics as lines of the log in CloudWatch's Embedded Metric Format, so that CloudWatch
// makes metrics and alarms of them without asking the server anything.
//
// Derived from the same registry as /metrics, under the same names. A line is one document
// for each set of dimensions that occurs. Counters are told as their difference to the line
// before, a histogram as the array of at most 100 values that the format has.
// Specification: CloudWatch_Embedded_Metric_Format_Specification of the CloudWatch guide.
// One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace colloquy::telemetry {

// The specification's bounds.
inline constexpr std::size_t kEmfValuesMax = 100;
inline constexpr std::size_t kEmfMetricsMax = 100;
inline constexpr std::size_t kEmfDimensionsMax = 30;

// Whether it is told as the difference to the line before, or as it is. Histograms always are
// differences.
enum class EmfKind : std::uint8_t { kDifference, kLevel };

struct EmfMetric {
  std::string name;  // in the registry, and in CloudWatch
  EmfKind kind = EmfKind::kDifference;
  std::string unit;  // CloudWatch's: "Count", "Seconds", "Bytes", …
  // The dimensions of a series with these labels, beside those of all: few and bounded. Series with
  // the same ones are added up. nullopt: the series is left out. Empty: none of its labels counts.
  std::function<std::optional<Labels>(const Labels&)> dimensions;
};

struct EmfOptions {
  std::string name_space;
  Labels dimensions;  // of every line
  Labels properties;  // members of every line that are no dimension, for searching the log
  std::vector<EmfMetric> metrics;
};

// What stands for `counts[i]` observations of at most `bounds[i]` and more than the bound before
// (the last count, without a bound, is of all above): as many values as there are observations, but
// at most kEmfValuesMax, evenly spread over the ranks and, within a bucket, over its width. What is
// above the last bound counts as that bound.
std::vector<double> emf_values(const std::vector<double>& bounds,
                               const std::vector<double>& counts);

class EmfLog {
 public:
  // Takes a line's members, as log_members does.
  using Write = std::function<LineReceipt(std::string_view members)>;

  // `metrics` outlives this.
  EmfLog(Metrics& metrics, EmfOptions options, Write write);

  // Writes a line for each set of dimensions. What a line that was dropped has told is told again
  // in the next one. While a line is on its way out, no other of its set is written: whether it
  // will be dropped is not known yet, and what happened meanwhile is told later.
  void write(std::int64_t now_ms);
  // The last ones: those on their way out count as written.
  void write_last(std::int64_t now_ms);

 private:
  // Of one metric: a counter's or gauge's one number, or each bucket's count.
  using Totals = std::vector<double>;
  using Readings = std::map<std::string, Totals>;
  struct Document {
    Readings told;  // by lines that were written
    Readings sent;  // by the newest line too
    LineReceipt receipt;
  };

  std::map<Labels, Readings> read();
  void write_all(std::int64_t now_ms, bool last);
  // The members of a line, "" where it would have no metric.
  std::string members(std::int64_t now_ms, const Labels& dimensions, const Readings& now,
                      const Readings& told) const;

  Metrics& metrics_;
  const EmfOptions options_;
  const Write write_;
  std::map<std::string, std::vector<double>> bounds_;  // of histograms
  std::map<Labels, Document> documents_;
};

}  // namespace colloquy::telemetry
