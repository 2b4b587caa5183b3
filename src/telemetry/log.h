// Structured log: one JSON object a line, on standard error.
//
// Thread-safe and never blocking: lines go into a bounded buffer, which one
// thread writes out in batches, a few milliseconds later; when a reader of the log
// is too slow or a write fails, lines are dropped and counted, and a request is
// never held up. Standard error may block or not.
// Never log the text of a message, a query or a body.
#pragma once

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

namespace colloquy::telemetry {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError };

// "debug", "info", "warning", "error"; anything else is kInfo.
LogLevel parse_log_level(std::string_view name);

struct LogField {
  std::string_view name;
  std::variant<std::string_view, std::int64_t, std::uint64_t, double, bool> value;

  LogField(std::string_view n, std::string_view v) : name(n), value(v) {}
  LogField(std::string_view n, const std::string& v) : name(n), value(std::string_view(v)) {}
  LogField(std::string_view n, const char* v) : name(n), value(std::string_view(v)) {}
  LogField(std::string_view n, bool v) : name(n), value(v) {}
  LogField(std::string_view n, double v) : name(n), value(v) {}
  LogField(std::string_view n, int v) : name(n), value(static_cast<std::int64_t>(v)) {}
  LogField(std::string_view n, unsigned v) : name(n), value(static_cast<std::uint64_t>(v)) {}
  LogField(std::string_view n, long v) : name(n), value(static_cast<std::int64_t>(v)) {}
  LogField(std::string_view n, unsigned long v) : name(n), value(static_cast<std::uint64_t>(v)) {}
};

// Starts the writing thread. Before it, and after stop_log, lines are discarded. Call once, from
// main.
void start_log(LogLevel least);
// Writes out what is queued (waiting one second at most) and ends the thread.
void stop_log();
// Lines that nobody will read, since the program began.
std::uint64_t dropped_log_lines();

// What became of a line. One whose first bytes are out counts as written.
enum class LineFate : std::uint8_t { kWaiting, kWritten, kDropped };
using LineReceipt = std::shared_ptr<std::atomic<LineFate>>;
// Writes an info line whatever the least level is, and tells what became of it. `members` are
// further members of the line's object, as JSON without its braces.
LineReceipt log_members(std::string_view event, std::string_view members);

bool log_enabled(LogLevel level);
// `event` is a stable dotted name, such as "conversation.created".
void log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields = {});

inline void log_debug(std::string_view event, std::initializer_list<LogField> fields = {}) {
  log(LogLevel::kDebug, event, fields);
}
inline void log_info(std::string_view event, std::initializer_list<LogField> fields = {}) {
  log(LogLevel::kInfo, event, fields);
}
inline void log_warning(std::string_view event, std::initializer_list<LogField> fields = {}) {
  log(LogLevel::kWarning, event, fields);
}
inline void log_error(std::string_view event, std::initializer_list<LogField> fields = {}) {
  log(LogLevel::kError, event, fields);
}

}  // namespace colloquy::telemetry
