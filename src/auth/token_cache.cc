#include "auth/token_cache.h"

#include <cstring>

#include "base/sha256.h"

namespace colloquy::auth {

TokenDigest digest_token(std::string_view token) { return sha256({token}); }

std::size_t TokenCache::DigestHash::operator()(const TokenDigest& digest) const {
  std::size_t hash = 0;  // SHA-256 is spread evenly as it is; the first byte chose the shard
  std::memcpy(&hash, digest.data() + 1, sizeof(hash));
  return hash;
}

TokenCache::TokenCache(std::size_t tokens_max)
    : tokens_per_shard_((tokens_max + kShards - 1) / kShards) {}

std::optional<CachedToken> TokenCache::find(const TokenDigest& digest) {
  Shard& shard = shard_of(digest);
  std::scoped_lock lock(shard.mutex);
  const auto found = shard.index.find(digest);
  if (found == shard.index.end()) return std::nullopt;
  shard.entries.splice(shard.entries.begin(), shard.entries, found->second);
  return found->second->second;
}

void TokenCache::put(const TokenDigest& digest, CachedToken token) {
  if (tokens_per_shard_ == 0) return;
  Shard& shard = shard_of(digest);
  std::scoped_lock lock(shard.mutex);
  const auto found = shard.index.find(digest);
  if (found != shard.index.end()) {
    found->second->second = std::move(token);
    return;
  }
  if (shard.entries.size() >= tokens_per_shard_) {
    shard.index.erase(shard.entries.back().first);
    shard.entries.pop_back();
  }
  shard.entries.emplace_front(digest, std::move(token));
  shard.index.emplace(digest, shard.entries.begin());
}

void TokenCache::erase(const TokenDigest& digest) {
  Shard& shard = shard_of(digest);
  std::scoped_lock lock(shard.mutex);
  const auto found = shard.index.find(digest);
  if (found == shard.index.end()) return;
  shard.entries.erase(found->second);
  shard.index.erase(found);
}

}  // namespace colloquy::auth
