// A limit per user and minute, as a bucket that refills steadily. Thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "base/ids.h"

namespace colloquy::api {

class RateLimiter {
 public:
  // `per_minute` 0: no limit at all. The clock outlives it.
  RateLimiter(const Clock& clock, std::size_t per_minute);

  struct Verdict {
    bool allowed = true;
    std::int64_t remaining = 0;
    std::int64_t reset_s =
        0;  // until the bucket is full; where not allowed, until it has one again
  };
  // Takes `cost` if the bucket has at least one left, and may leave it in debt. nullopt: no limit.
  std::optional<Verdict> take(const UserId& user, double cost);
  // Takes what is known only afterwards.
  void charge(const UserId& user, double cost);

  std::size_t per_minute() const { return per_minute_; }

 private:
  struct Bucket {
    double level = 0;
    std::int64_t at_ms = 0;
  };
  struct Shard {
    std::mutex mutex;
    std::unordered_map<UserId, Bucket> buckets;  // guarded by mutex
  };

  Bucket& refill(Shard& shard, const UserId& user);
  Shard& shard_of(const UserId& user);

  const Clock& clock_;
  const std::size_t per_minute_;
  std::array<Shard, 16> shards_;
};

}  // namespace colloquy::api
