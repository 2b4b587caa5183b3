// How often and when a call is sent again. A budget shared by all calls keeps a service that is in
// trouble from being asked several times as much as before. Thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <random>

namespace colloquy::store::dynamodb {

struct RetryOptions {
  int attempts = 8;  // of one call, the first one included
  std::chrono::milliseconds base{25};
  std::chrono::milliseconds cap{1000};
  // The budget in units: what a repeat takes, and what a call that needs none gives back.
  int budget = 500;
  int repeat_cost = 5;
  int timeout_cost = 10;
  int reward = 1;
};

class RetryPolicy {
 public:
  RetryPolicy(RetryOptions options, std::uint64_t seed)
      : options_(options), budget_(options.budget), random_(seed) {}

  // May attempt number `attempt` (2 for the first repeat) be made? Takes it from the budget.
  bool may_repeat(int attempt, bool after_timeout);
  // A call went well at its first attempt.
  void reward();
  // Full jitter: anything from nothing to the bound, which doubles with every attempt.
  std::chrono::milliseconds delay_before(int attempt);

 private:
  const RetryOptions options_;
  std::mutex mutex_;
  int budget_;              // guarded by mutex_
  std::mt19937_64 random_;  // guarded by mutex_
};

}  // namespace colloquy::store::dynamodb
