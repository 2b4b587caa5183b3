// HMAC with SHA-256 (RFC 2104, FIPS 198-1) under a key that is used many times.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

using EVP_MAC_CTX = struct evp_mac_ctx_st;

namespace colloquy::aws {

using Digest = std::array<std::uint8_t, 32>;

// Immutable once made; any thread may call digest(), several at once.
class HmacKey {
 public:
  // Throws kInternal where OpenSSL has no HMAC.
  explicit HmacKey(std::string_view key);
  ~HmacKey();
  HmacKey(const HmacKey&) = delete;
  HmacKey& operator=(const HmacKey&) = delete;

  // Throws kInternal when OpenSSL fails, for want of memory at most.
  Digest digest(std::string_view text) const;

 private:
  EVP_MAC_CTX* keyed_;  // with the key taken in; copied for each text
};

}  // namespace colloquy::aws
