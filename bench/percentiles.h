// Times of many repetitions of one thing, and what is said of them.
//
// Not thread-safe.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

namespace colloquy::bench {

using SteadyClock = std::chrono::steady_clock;

class Times {
 public:
  void add(SteadyClock::duration time) {
    microseconds_.push_back(std::chrono::duration<double, std::micro>(time).count());
  }
  void add(const Times& other) {
    microseconds_.insert(microseconds_.end(), other.microseconds_.begin(),
                         other.microseconds_.end());
  }
  std::size_t count() const { return microseconds_.size(); }

  // In microseconds, of `share` (0 to 1) of all times: 0.5 is the median. 0 where there are none.
  double at(double share) {
    if (microseconds_.empty()) return 0;
    auto last = static_cast<double>(microseconds_.size() - 1);
    auto nth = microseconds_.begin() + static_cast<std::ptrdiff_t>(share * last);
    std::nth_element(microseconds_.begin(), nth, microseconds_.end());
    return *nth;
  }

 private:
  std::vector<double> microseconds_;
};

}  // namespace colloquy::bench
