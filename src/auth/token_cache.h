// Remembers tokens that were verified, so that a client's every request does not
// repeat the signature check. Bounded and thread-safe. Only tokens that verified
// go in, so a stranger cannot fill it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "auth/authenticator.h"

namespace colloquy::auth {

// SHA-256 of the token as it came.
using TokenDigest = std::array<std::uint8_t, 32>;
TokenDigest digest_token(std::string_view token);

struct CachedToken {
  Identity identity;
  std::uint64_t key_set_version = 0;  // which verified it; 0: no key set did
};

class TokenCache {
 public:
  // Holds about `tokens_max` at most; 0 holds none.
  explicit TokenCache(std::size_t tokens_max);

  // As it was put in: whether it has expired is the caller's to check.
  std::optional<CachedToken> find(const TokenDigest& digest);
  // Replaces what stands under the digest; the token used least recently makes room.
  void put(const TokenDigest& digest, CachedToken token);
  void erase(const TokenDigest& digest);

 private:
  struct DigestHash {
    std::size_t operator()(const TokenDigest& digest) const;
  };
  using Entry = std::pair<TokenDigest, CachedToken>;
  struct Shard {
    std::mutex mutex;
    std::list<Entry> entries;  // guarded by mutex; the most recently used first
    std::unordered_map<TokenDigest, std::list<Entry>::iterator, DigestHash> index;  // likewise
  };
  static constexpr std::size_t kShards = 16;

  Shard& shard_of(const TokenDigest& digest) { return shards_[digest[0] % kShards]; }

  const std::size_t tokens_per_shard_;
  std::array<Shard, kShards> shards_;
};

}  // namespace colloquy::auth
