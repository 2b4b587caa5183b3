#include "auth/token_cache.h"

#include <openssl/evp.h>

#include <cstring>

#include "base/error.h"

namespace colloquy::auth {

TokenDigest digest_token(std::string_view token) {
  // Looking the algorithm up costs more than the hash.
  static EVP_MD* const kSha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  TokenDigest digest;
  if (EVP_Digest(token.data(), token.size(), digest.data(), nullptr, kSha256, nullptr) != 1) {
    throw internal_error("SHA-256 failed");
  }
  return digest;
}

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
