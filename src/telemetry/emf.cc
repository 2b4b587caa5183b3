#include "telemetry/emf.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "base/json_writer.h"

namespace colloquy::telemetry {
namespace {

// Enough for a graph, and short.
double rounded(double value) {
  constexpr int kDigits = 5;
  if (value == 0 || !std::isfinite(value)) return value;
  const double scale = std::pow(10.0, kDigits - 1 - std::floor(std::log10(std::abs(value))));
  return std::isfinite(scale) && scale > 0 ? std::round(value * scale) / scale : value;
}

Labels labels_of(const prometheus::ClientMetric& series) {
  Labels labels;
  for (const auto& label : series.label) labels[label.name] = label.value;
  return labels;
}

// CloudWatch takes no dimension without a value.
void drop_empty(Labels& dimensions) {
  std::erase_if(dimensions, [](const auto& dimension) { return dimension.second.empty(); });
}

std::vector<double> bucket_counts(const prometheus::ClientMetric::Histogram& histogram) {
  std::vector<double> counts;
  std::uint64_t before = 0;
  for (const auto& bucket : histogram.bucket) {
    counts.push_back(static_cast<double>(bucket.cumulative_count - before));
    before = bucket.cumulative_count;
  }
  return counts;
}

std::vector<double> bucket_bounds(const prometheus::ClientMetric::Histogram& histogram) {
  std::vector<double> bounds;
  for (const auto& bucket : histogram.bucket) {
    if (std::isfinite(bucket.upper_bound)) bounds.push_back(bucket.upper_bound);
  }
  return bounds;
}

void add_to(std::vector<double>& sums, const std::vector<double>& more) {
  sums.resize(std::max(sums.size(), more.size()));
  for (std::size_t i = 0; i < more.size(); ++i) sums[i] += more[i];
}

std::vector<double> differences(std::vector<double> now, const std::vector<double>* before) {
  if (before == nullptr) return now;
  for (std::size_t i = 0; i < now.size() && i < before->size(); ++i) now[i] -= (*before)[i];
  return now;
}

// One metric of a line, with what it is told as.
struct Told {
  const EmfMetric* metric = nullptr;
  std::vector<double> values;
  bool is_array = false;
};

void write_directive(JsonWriter& json, std::int64_t now_ms, const std::string& name_space,
                     const Labels& dimensions, const std::vector<Told>& all) {
  json.key("_aws").begin_object().key("Timestamp").integer(now_ms);
  json.key("CloudWatchMetrics").begin_array().begin_object();
  json.key("Namespace").string(name_space);
  json.key("Dimensions").begin_array().begin_array();
  for (const auto& [name, value] : dimensions) json.string(name);
  json.end_array().end_array().key("Metrics").begin_array();
  for (const auto& told : all) {
    json.begin_object().key("Name").string(told.metric->name);
    json.key("Unit").string(told.metric->unit).end_object();
  }
  json.end_array().end_object().end_array().end_object();
}

void write_values(JsonWriter& json, const Told& told) {
  json.data_key(told.metric->name);
  if (!told.is_array) {
    json.number(told.values.front());
    return;
  }
  json.begin_array();
  for (const double value : told.values) json.number(value);
  json.end_array();
}

}  // namespace

std::vector<double> emf_values(const std::vector<double>& bounds,
                               const std::vector<double>& counts) {
  double all = 0;
  for (const double count : counts) all += count;
  const auto number = static_cast<std::size_t>(std::min<double>(all, kEmfValuesMax));
  std::vector<double> values;
  std::size_t bucket = 0;
  double before = 0;  // observations in the buckets before it
  for (std::size_t i = 0; i < number; ++i) {
    const double rank = (static_cast<double>(i) + 0.5) * all / static_cast<double>(number);
    while (bucket + 1 < counts.size() && before + counts[bucket] < rank) before += counts[bucket++];
    if (bucket >= bounds.size()) {
      values.push_back(bounds.empty() ? 0 : bounds.back());
      continue;
    }
    const double lower = bucket == 0 ? 0 : bounds[bucket - 1];
    const double share = (rank - before) / counts[bucket];
    values.push_back(rounded(lower + share * (bounds[bucket] - lower)));
  }
  return values;
}

EmfLog::EmfLog(Metrics& metrics, EmfOptions options, Write write)
    : metrics_(metrics), options_(std::move(options)), write_(std::move(write)) {
  if (options_.metrics.size() > kEmfMetricsMax) throw std::logic_error("too many metrics a line");
}

void EmfLog::write(std::int64_t now_ms) { write_all(now_ms, false); }
void EmfLog::write_last(std::int64_t now_ms) { write_all(now_ms, true); }

void EmfLog::write_all(std::int64_t now_ms, bool last) {
  for (auto& [dimensions, now] : read()) {
    auto& document = documents_[dimensions];
    if (document.receipt) {
      const auto fate = document.receipt->load();
      if (fate == LineFate::kWaiting && !last) continue;
      if (fate != LineFate::kDropped) document.told = std::move(document.sent);
      document.receipt.reset();
    }
    const auto line = members(now_ms, dimensions, now, document.told);
    if (line.empty()) continue;
    document.receipt = write_(line);
    document.sent = std::move(now);
  }
}

std::map<Labels, EmfLog::Readings> EmfLog::read() {
  std::map<Labels, Readings> all;
  for (const auto& family : metrics_.collect()) {
    const auto metric =
        std::find_if(options_.metrics.begin(), options_.metrics.end(),
                     [&family](const EmfMetric& each) { return each.name == family.name; });
    if (metric == options_.metrics.end()) continue;
    for (const auto& series : family.metric) {
      auto dimensions = metric->dimensions(labels_of(series));
      if (!dimensions) continue;
      dimensions->insert(options_.dimensions.begin(), options_.dimensions.end());
      drop_empty(*dimensions);
      if (dimensions->size() > kEmfDimensionsMax) continue;
      auto& totals = all[*dimensions][family.name];
      switch (family.type) {
        case prometheus::MetricType::Histogram:
          bounds_.try_emplace(family.name, bucket_bounds(series.histogram));
          add_to(totals, bucket_counts(series.histogram));
          break;
        case prometheus::MetricType::Counter:
          add_to(totals, {series.counter.value});
          break;
        default:
          add_to(totals, {series.gauge.value});
      }
    }
  }
  return all;
}

std::string EmfLog::members(std::int64_t now_ms, const Labels& dimensions, const Readings& now,
                            const Readings& told) const {
  std::vector<Told> all;
  for (const auto& metric : options_.metrics) {
    const auto reading = now.find(metric.name);
    if (reading == now.end()) continue;
    const auto before = told.find(metric.name);
    const auto* base =
        before == told.end() || metric.kind == EmfKind::kLevel ? nullptr : &before->second;
    auto values = differences(reading->second, base);
    const auto bounds = bounds_.find(metric.name);
    const bool is_array = bounds != bounds_.end();
    if (is_array) values = emf_values(bounds->second, values);
    // The format has neither an empty array nor a number that is none.
    if (values.empty() || !std::all_of(values.begin(), values.end(),
                                       [](double value) { return std::isfinite(value); })) {
      continue;
    }
    all.push_back({&metric, std::move(values), is_array});
  }
  if (all.empty()) return "";
  std::string text;
  JsonWriter json(text);
  write_directive(json, now_ms, options_.name_space, dimensions, all);
  for (const auto& [name, value] : dimensions) json.data_key(name).string(value);
  for (const auto& [name, value] : options_.properties) json.data_key(name).string(value);
  for (const auto& each : all) write_values(json, each);
  return text;
}

}  // namespace colloquy::telemetry
