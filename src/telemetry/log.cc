#include "telemetry/log.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <ctime>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/json_writer.h"
#include "base/limits.h"

namespace colloquy::telemetry {
namespace {

constexpr std::size_t kBufferBytes = 4 * limits::kMiB;
// How long lines may gather before they are written: one write then serves many.
constexpr auto kGatherTime = std::chrono::milliseconds(5);
constexpr auto kStopWait = std::chrono::seconds(1);
// How long the reader of a log that does not block may take nothing before lines are given up.
// Lines gather in the buffer meanwhile.
constexpr auto kWritableWait = std::chrono::seconds(5);

// Lines on their way out, from those who log to the thread that writes.
class LineBuffer {
 public:
  explicit LineBuffer(std::atomic<std::uint64_t>& dropped) : dropped_(dropped) {}

  // False: there is no room for the line. A receipt, where there is one, is settled later.
  bool add(const std::string& line, LineReceipt receipt = nullptr) {
    bool was_empty = false;
    {
      std::scoped_lock lock(mutex_);
      if (lines_.size() + line.size() > kBufferBytes) return false;
      was_empty = lines_.empty();
      lines_ += line;
      if (receipt) receipts_.emplace_back(added_, std::move(receipt));
      ++added_;
    }
    if (was_empty) changed_.notify_one();
    return true;
  }

  void close() {
    {
      std::scoped_lock lock(mutex_);
      closing_ = true;
    }
    changed_.notify_all();
  }

  // The writing thread's whole life.
  void write_all() {
    std::string batch;
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return closing_ || !lines_.empty(); });
      if (lines_.empty()) break;
      if (!closing_) changed_.wait_for(lock, kGatherTime, [this] { return closing_; });
      if (batch.empty()) {
        batch.swap(lines_);
      } else {
        batch += lines_;
        lines_.clear();
      }
      lock.unlock();
      write_out(batch);
      lock.lock();
    }
    written_ = true;
    changed_.notify_all();
  }

  void wait_until_written() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kStopWait, [this] { return written_; });
  }

 private:
  // Writes what it can. What is left of `text` is the rest of a line that was begun: whoever reads
  // on later finds it whole. Lines that could not be written are counted.
  void write_out(std::string& text) {
    const bool begun = within_line_;
    std::size_t done = 0;
    while (done < text.size()) {
      const auto written = ::write(STDERR_FILENO, text.data() + done, text.size() - done);
      if (written >= 0) {
        done += static_cast<std::size_t>(written);
      } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        if (!wait_until_writable()) break;
      } else if (errno != EINTR) {
        break;
      }
    }
    if (done > 0) within_line_ = text[done - 1] != '\n';
    const std::size_t kept = within_line_ ? text.find('\n', done) + 1 : done;
    const auto rest = text.begin() + static_cast<std::ptrdiff_t>(kept);
    const auto written = static_cast<std::uint64_t>(std::count(text.begin(), rest, '\n'));
    const auto dropped = static_cast<std::uint64_t>(std::count(rest, text.end(), '\n'));
    dropped_ += dropped;
    settle(begun ? written - 1 : written, dropped);
    text.assign(text, done, kept - done);
  }

  // The next so many lines have been written, or begun, and so many after them dropped.
  void settle(std::uint64_t written, std::uint64_t dropped) {
    std::scoped_lock lock(mutex_);
    const std::uint64_t first_dropped = settled_ + written;
    settled_ = first_dropped + dropped;
    while (!receipts_.empty() && receipts_.front().first < settled_) {
      const auto& [number, receipt] = receipts_.front();
      *receipt = number < first_dropped ? LineFate::kWritten : LineFate::kDropped;
      receipts_.pop_front();
    }
  }

  static bool wait_until_writable() {
    pollfd end{STDERR_FILENO, POLLOUT, 0};
    const auto timeout = std::chrono::milliseconds(kWritableWait).count();
    const int ready = ::poll(&end, 1, static_cast<int>(timeout));
    return ready > 0 || (ready < 0 && errno == EINTR);
  }

  std::atomic<std::uint64_t>& dropped_;
  bool within_line_ = false;  // what is written ends there; of the writing thread

  std::mutex mutex_;
  std::condition_variable changed_;
  std::string lines_;          // guarded by mutex_
  bool closing_ = false;       // guarded by mutex_
  bool written_ = false;       // guarded by mutex_
  std::uint64_t added_ = 0;    // lines so far; guarded by mutex_
  std::uint64_t settled_ = 0;  // of them, those written or dropped; guarded by mutex_
  std::deque<std::pair<std::uint64_t, LineReceipt>> receipts_;  // by line; guarded by mutex_
};

// The one global of the program: see the architecture page.
struct Log {
  std::atomic<LogLevel> least{LogLevel::kError};
  std::atomic<bool> running{false};
  std::atomic<std::uint64_t> dropped{0};
  std::atomic<LineBuffer*> buffer{nullptr};
  // Kept to the end: the writing thread outlives stop_log where the log's reader has stopped
  // reading.
  std::vector<std::unique_ptr<LineBuffer>> buffers;
};

Log& instance() {
  static Log& log = *new Log;
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
std::string time_text() {
  auto now = std::chrono::system_clock::now();
  auto seconds = std::chrono::system_clock::to_time_t(now);
  auto millis =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[32];
  auto length = std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
  std::string out(text, length);
  auto digits = std::to_string(1000 + millis);
  digits[0] = '.';
  return out + digits + "Z";
}

struct ValueWriter {
  JsonWriter& json;
  void operator()(std::string_view value) const { json.string(value); }
  void operator()(std::int64_t value) const { json.integer(value); }
  void operator()(std::uint64_t value) const { json.integer(static_cast<std::int64_t>(value)); }
  void operator()(double value) const { json.number(value); }
  void operator()(bool value) const { json.boolean(value); }
};

void begin_line(JsonWriter& json, LogLevel level, std::string_view event) {
  json.begin_object().key("time").string(time_text()).key("level").string(level_name(level));
  json.key("event").string(event);
}

std::string format_line(LogLevel level, std::string_view event,
                        std::initializer_list<LogField> fields) {
  std::string line;
  line.reserve(256);
  JsonWriter json(line);
  begin_line(json, level, event);
  for (const auto& field : fields) {
    json.key(field.name);
    std::visit(ValueWriter{json}, field.value);
  }
  json.end_object();
  line.push_back('\n');
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
  auto* buffer = log.buffers.emplace_back(std::make_unique<LineBuffer>(log.dropped)).get();
  std::thread([buffer] { buffer->write_all(); }).detach();
  log.buffer = buffer;
  log.least = least;
  log.running = true;
}

void stop_log() {
  auto& log = instance();
  if (!log.running.exchange(false)) return;
  auto* buffer = log.buffer.load();
  buffer->close();
  // A reader that has stopped reading must not keep the program from ending.
  buffer->wait_until_written();
}

std::uint64_t dropped_log_lines() { return instance().dropped; }

bool log_enabled(LogLevel level) {
  auto& log = instance();
  return log.running.load(std::memory_order_relaxed) &&
         level >= log.least.load(std::memory_order_relaxed);
}

void log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  if (!log_enabled(level)) return;
  auto* buffer = instance().buffer.load();
  if (!buffer->add(format_line(level, event, fields))) ++instance().dropped;
}

LineReceipt log_members(std::string_view event, std::string_view members) {
  auto receipt = std::make_shared<std::atomic<LineFate>>(LineFate::kWaiting);
  auto& log = instance();
  if (!log.running) {
    *receipt = LineFate::kDropped;
    return receipt;
  }
  std::string line;
  JsonWriter json(line);
  begin_line(json, LogLevel::kInfo, event);
  line.append(members.empty() ? "" : ",").append(members).append("}\n");
  if (!log.buffer.load()->add(line, receipt)) {
    ++log.dropped;
    *receipt = LineFate::kDropped;
  }
  return receipt;
}

}  // namespace colloquy::telemetry
