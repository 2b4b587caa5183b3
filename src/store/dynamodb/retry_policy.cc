#include "store/dynamodb/retry_policy.h"

#include <algorithm>

namespace colloquy::store::dynamodb {

bool RetryPolicy::may_repeat(int attempt, bool after_timeout) {
  if (attempt > options_.attempts) return false;
  int cost = after_timeout ? options_.timeout_cost : options_.repeat_cost;
  std::scoped_lock lock(mutex_);
  if (budget_ < cost) return false;
  budget_ -= cost;
  return true;
}

void RetryPolicy::reward() {
  std::scoped_lock lock(mutex_);
  budget_ = std::min(options_.budget, budget_ + options_.reward);
}

std::chrono::milliseconds RetryPolicy::delay_before(int attempt) {
  int doublings = std::clamp(attempt - 2, 0, 20);
  auto bound = std::min(options_.cap, options_.base * (std::int64_t{1} << doublings));
  std::scoped_lock lock(mutex_);
  std::uniform_int_distribution<std::int64_t> anything(0, bound.count());
  return std::chrono::milliseconds(anything(random_));
}

}  // namespace colloquy::store::dynamodb
