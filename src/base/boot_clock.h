// A clock of the standard library's kind that nobody sets and that goes on while the machine
// sleeps, unlike std::chrono::steady_clock. Thread-safe.
#pragma once

#include <chrono>

namespace colloquy {

struct BootClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootClock>;
  static constexpr bool is_steady = true;
  // Since the machine began.
  static time_point now() noexcept;
};

}  // namespace colloquy
