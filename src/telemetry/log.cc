#include "telemetry/log.h"

#include <spdlog/async.h>
#include <spdlog/async_logger.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <thread>

#include "base/json_writer.h"

namespace colloquy::telemetry {
namespace {

constexpr std::size_t kQueuedLines = 8192;

// The one global of the program: see the architecture page.
struct Log {
  std::atomic<LogLevel> least{LogLevel::kError};
  std::atomic<bool> running{false};
  std::shared_ptr<spdlog::details::thread_pool> pool;
  std::shared_ptr<spdlog::async_logger> logger;
};

Log& instance() {
  static Log log;
  return log;
}

std::string_view level_name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "info";
}

// RFC 3339 in UTC with milliseconds.
void append_time(std::string& out) {
  auto now = std::chrono::system_clock::now();
  auto seconds = std::chrono::system_clock::to_time_t(now);
  auto millis =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  fmt::format_to(std::back_inserter(out), "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
                 utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min,
                 utc.tm_sec, millis);
}

struct ValueWriter {
  JsonWriter& json;
  void operator()(std::string_view value) const { json.string(value); }
  void operator()(std::int64_t value) const { json.integer(value); }
  void operator()(std::uint64_t value) const { json.integer(static_cast<std::int64_t>(value)); }
  void operator()(double value) const { json.number(value); }
  void operator()(bool value) const { json.boolean(value); }
};

std::string format_line(LogLevel level, std::string_view event,
                        std::initializer_list<LogField> fields) {
  std::string time;
  append_time(time);
  std::string line;
  line.reserve(256);
  JsonWriter json(line);
  json.begin_object().key("time").string(time).key("level").string(level_name(level));
  json.key("event").string(event);
  for (const auto& field : fields) {
    json.key(field.name);
    std::visit(ValueWriter{json}, field.value);
  }
  json.end_object();
  return line;
}

}  // namespace

LogLevel parse_log_level(std::string_view name) {
  for (auto level : {LogLevel::kDebug, LogLevel::kWarning, LogLevel::kError}) {
    if (name == level_name(level)) return level;
  }
  return LogLevel::kInfo;
}

void start_log(LogLevel least) {
  auto& log = instance();
  log.pool = std::make_shared<spdlog::details::thread_pool>(kQueuedLines, 1);
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_st>();
  // A full queue drops its oldest line, never the caller's time.
  log.logger = std::make_shared<spdlog::async_logger>(
      "colloquy", sink, log.pool, spdlog::async_overflow_policy::overrun_oldest);
  log.logger->set_pattern("%v");
  log.logger->set_level(spdlog::level::trace);
  log.least = least;
  log.running = true;
}

void stop_log() {
  auto& log = instance();
  if (!log.running.exchange(false)) return;
  log.logger->flush();
  // The pool's destructor writes what is queued. A reader that has stopped reading
  // must not keep the program from ending, so it gets one second.
  auto done = std::make_shared<std::promise<void>>();
  auto finished = done->get_future();
  std::thread([logger = std::move(log.logger), pool = std::move(log.pool), done]() mutable {
    logger.reset();
    pool.reset();
    done->set_value();
  }).detach();
  finished.wait_for(std::chrono::seconds(1));
}

std::uint64_t dropped_log_lines() {
  auto& log = instance();
  return log.running ? log.pool->overrun_counter() : 0;
}

bool log_enabled(LogLevel level) {
  auto& log = instance();
  return log.running.load(std::memory_order_relaxed) &&
         level >= log.least.load(std::memory_order_relaxed);
}

void log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  if (!log_enabled(level)) return;
  instance().logger->log(spdlog::level::info, format_line(level, event, fields));
}

}  // namespace colloquy::telemetry
