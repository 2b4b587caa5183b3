// Where the time comes from. Thread-safe. Injected, so that tests can move it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace colloquy {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual std::int64_t now_ms() const = 0;  // Unix time in milliseconds
  std::int64_t now_s() const { return now_ms() / 1000; }
};

class SystemClock final : public Clock {
 public:
  std::int64_t now_ms() const override {
    using namespace std::chrono;
    return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
  }
};

// Stands still until it is told otherwise.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(std::int64_t start_ms) : now_ms_(start_ms) {}
  std::int64_t now_ms() const override { return now_ms_.load(); }
  void advance_ms(std::int64_t by_ms) { now_ms_ += by_ms; }
  void set_ms(std::int64_t to_ms) { now_ms_ = to_ms; }

 private:
  std::atomic<std::int64_t> now_ms_;
};

}  // namespace colloquy
