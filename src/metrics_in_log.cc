#include "metrics_in_log.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/error_code.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "telemetry/log.h"

namespace colloquy {
namespace {

namespace asio = boost::asio;
using telemetry::EmfKind;
using telemetry::EmfMetric;
using telemetry::Labels;

using Dimensions = std::function<std::optional<Labels>(const Labels&)>;

std::string value_of(const Labels& labels, const std::string& name) {
  const auto found = labels.find(name);
  return found == labels.end() ? "" : found->second;
}

// Series are added up over all labels but these.
Dimensions by(std::vector<std::string> names) {
  return [names = std::move(names)](const Labels& labels) -> std::optional<Labels> {
    Labels kept;
    for (const auto& name : names) kept[name] = value_of(labels, name);
    return kept;
  };
}

// Probes would hide among themselves what users see.
bool is_probe(std::string_view route) {
  return route.starts_with("/health") || route == "/metrics";
}

std::optional<Labels> by_status_class(const Labels& labels) {
  const auto status = value_of(labels, "status");
  if (status.empty() || is_probe(value_of(labels, "route"))) return std::nullopt;
  return Labels{{"status", status.substr(0, 1) + "xx"}};
}

// Those that last as long as their client likes tell nothing by how long they took; those that wait
// for the model are no measure of the server.
std::optional<Labels> by_kind_of_request(const Labels& labels) {
  const auto route = value_of(labels, "route");
  if (is_probe(route) || route.starts_with("/cluster/") || route.starts_with("/files/") ||
      route == "/events" || route == "/export" || route == "/import" ||
      (route.find("/generations/") != std::string::npos && value_of(labels, "method") == "GET")) {
    return std::nullopt;
  }
  const bool answers = route == "/generate" || route.ends_with("/regenerate");
  return Labels{{"requests", answers ? "answers" : "others"}};
}

std::vector<EmfMetric> emf_metrics() {
  const auto all = by({});
  const auto table = by({"table"});
  const auto kDifference = EmfKind::kDifference;
  const auto kLevel = EmfKind::kLevel;
  return {
      {"colloquy_http_requests_total", kDifference, "Count", by_status_class},
      {"colloquy_http_request_seconds", kDifference, "Seconds", by_kind_of_request},
      {"colloquy_http_unreadable_requests_total", kDifference, "Count", all},
      {"colloquy_http_connections", kLevel, "Count", all},
      {"colloquy_turns_total", kDifference, "Count", by({"outcome"})},
      {"colloquy_turns_running", kLevel, "Count", all},
      {"colloquy_turn_seconds", kDifference, "Seconds", all},
      {"colloquy_turn_first_token_seconds", kDifference, "Seconds", all},
      {"colloquy_tokens_total", kDifference, "Count", by({"kind"})},
      {"colloquy_llama_queue_length", kLevel, "Count", all},
      {"colloquy_store_commits_total", kDifference, "Count", all},
      {"colloquy_store_commit_seconds", kDifference, "Seconds", all},
      {"colloquy_store_conversations", kLevel, "Count", all},
      {"colloquy_store_messages", kLevel, "Count", all},
      {"colloquy_store_disk_bytes", kLevel, "Bytes", all},
      {"colloquy_dynamodb_attempt_seconds", kDifference, "Seconds", all},
      {"colloquy_dynamodb_retries_total", kDifference, "Count", by({"reason"})},
      {"colloquy_dynamodb_consumed_units_total", kDifference, "Count", by({"table", "kind"})},
      {"colloquy_dynamodb_table_items", kLevel, "Count", table},
      {"colloquy_dynamodb_table_bytes", kLevel, "Bytes", table},
      {"colloquy_dynamodb_index_items", kLevel, "Count", by({"table", "index"})},
      {"colloquy_dynamodb_index_bytes", kLevel, "Bytes", by({"table", "index"})},
      {"colloquy_backup_age_seconds", kLevel, "Seconds", all},
      {"colloquy_backup_failures_total", kDifference, "Count", all},
      {"colloquy_backup_log_given_up_total", kDifference, "Count", all},
      {"colloquy_erasing_longest_seconds", kLevel, "Seconds", all},
      {"colloquy_event_peers", kLevel, "Count", by({"state"})},
      {"colloquy_search_complete", kLevel, "None", all},
      {"colloquy_files_free_bytes", kLevel, "Bytes", all},
      {"colloquy_log_lines_dropped", kDifference, "Count", all},
      {"process_resident_memory_bytes", kLevel, "Bytes", all},
  };
}

}  // namespace

telemetry::EmfOptions emf_options(const std::string& service, const std::string& instance) {
  telemetry::EmfOptions options;
  options.name_space = "Colloquy";
  options.dimensions = {{"Service", service}};
  options.properties = {{"instance", instance}};
  options.metrics = emf_metrics();
  return options;
}

MetricsInLog::MetricsInLog(const config::ServeConfig& config, const std::string& instance,
                           const Clock& clock, telemetry::Metrics& metrics,
                           const asio::any_io_executor& executor)
    : interval_(config.metrics_emf_interval),
      clock_(clock),
      log_(metrics, emf_options(config.metrics_emf_service, instance),
           [](std::string_view members) { return telemetry::log_members("metrics", members); }),
      timer_(executor) {}

void MetricsInLog::start() { asio::co_spawn(timer_.get_executor(), run(), asio::detached); }

Task<> MetricsInLog::run() {
  while (!finished_) {
    timer_.expires_after(interval_);
    boost::system::error_code error;
    co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, error));
    if (error || finished_) co_return;
    log_.write(clock_.now_ms());
  }
}

void MetricsInLog::finish() {
  finished_ = true;
  timer_.cancel();
  log_.write_last(clock_.now_ms());
}

}  // namespace colloquy
