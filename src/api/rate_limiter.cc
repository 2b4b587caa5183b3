#include "api/rate_limiter.h"

#include <algorithm>
#include <cmath>

namespace colloquy::api {
namespace {

// A shard forgets its full buckets once it has so many.
constexpr std::size_t kBucketsBeforeSweep = 10'000;
constexpr double kMillisecondsPerMinute = 60'000;

}  // namespace

RateLimiter::RateLimiter(const Clock& clock, std::size_t per_minute)
    : clock_(clock), per_minute_(per_minute) {}

RateLimiter::Shard& RateLimiter::shard_of(const UserId& user) {
  return shards_[std::hash<UserId>{}(user) % shards_.size()];
}

RateLimiter::Bucket& RateLimiter::refill(Shard& shard, const UserId& user) {
  auto now = clock_.now_ms();
  auto full = static_cast<double>(per_minute_);
  auto level_now = [&](const Bucket& bucket) {
    auto passed = static_cast<double>(std::max<std::int64_t>(0, now - bucket.at_ms));
    return std::min(full, bucket.level + passed * full / kMillisecondsPerMinute);
  };
  if (shard.buckets.size() > kBucketsBeforeSweep) {
    std::erase_if(shard.buckets,
                  [&](const auto& entry) { return level_now(entry.second) >= full; });
  }
  auto [entry, fresh] = shard.buckets.try_emplace(user, Bucket{full, now});
  if (!fresh) entry->second = {level_now(entry->second), now};
  return entry->second;
}

std::optional<RateLimiter::Verdict> RateLimiter::take(const UserId& user, double cost) {
  if (per_minute_ == 0) return std::nullopt;
  auto& shard = shard_of(user);
  std::scoped_lock lock(shard.mutex);
  auto& bucket = refill(shard, user);
  auto per_second = static_cast<double>(per_minute_) / 60;
  Verdict verdict;
  verdict.allowed = bucket.level >= 1;
  if (verdict.allowed) bucket.level -= cost;
  verdict.remaining = std::max<std::int64_t>(0, static_cast<std::int64_t>(bucket.level));
  double missing =
      verdict.allowed ? static_cast<double>(per_minute_) - bucket.level : 1 - bucket.level;
  verdict.reset_s =
      std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(missing / per_second)));
  return verdict;
}

void RateLimiter::charge(const UserId& user, double cost) {
  if (per_minute_ == 0) return;
  auto& shard = shard_of(user);
  std::scoped_lock lock(shard.mutex);
  refill(shard, user).level -= cost;
}

}  // namespace colloquy::api
