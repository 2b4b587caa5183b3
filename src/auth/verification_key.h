// A key that checks signatures of tokens, and the algorithms it can check
// (RFC 7518, RFC 8037). Immutable and cheap to copy; any thread may use one key
// at the same time as others.
#pragma once

#include <openssl/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace colloquy::auth {

enum class Algorithm : std::uint8_t { kHs256, kRs256, kPs256, kEs256, kEdDsa };

// What a key set is good for: all but HS256.
inline constexpr std::array kPublicKeyAlgorithms{Algorithm::kRs256, Algorithm::kPs256,
                                                 Algorithm::kEs256, Algorithm::kEdDsa};

// The `alg` of a token or a key: "HS256", "RS256", "PS256", "ES256", "EdDSA" (and
// "Ed25519", its newer name, RFC 9864). Case counts; anything else is nullopt.
std::optional<Algorithm> parse_algorithm(std::string_view name);
std::string_view algorithm_name(Algorithm algorithm);

inline constexpr std::size_t kHmacKeyBytesMin = 32;  // RFC 7518 section 3.2
inline constexpr int kRsaBitsMin = 2048;             // RFC 7518 section 3.3
inline constexpr int kRsaBitsMax = 8192;             // more would only burn our time

class VerificationKey {
 public:
  // Each throws Error kInvalid, whose message says what is wrong with the key.
  static VerificationKey hmac(std::string secret);
  // Both big-endian. The modulus has kRsaBitsMin to kRsaBitsMax bits.
  static VerificationKey rsa(std::string_view modulus, std::string_view exponent);
  // 32 bytes each, a point of the curve.
  static VerificationKey ec_p256(std::string_view x, std::string_view y);
  // 32 bytes.
  static VerificationKey ed25519(std::string_view public_key);

  // True when the key is of the type that the algorithm needs.
  bool fits(Algorithm algorithm) const;
  // True when `signature` (in its JWS form, ES256 as r and s of 32 bytes each) is this key's for
  // `text`. False for anything else, a key of the wrong type included.
  bool verify(Algorithm algorithm, std::string_view text, std::string_view signature) const;

 private:
  enum class Type : std::uint8_t { kHmac, kRsa, kEcP256, kEd25519 };
  VerificationKey(Type type, std::string secret, std::shared_ptr<EVP_PKEY> public_key);

  Type type_;
  std::string secret_;                    // of kHmac only
  std::shared_ptr<EVP_PKEY> public_key_;  // of all others
};

// HMAC with SHA-256: 32 bytes.
std::string hmac_sha256(std::string_view key, std::string_view text);

}  // namespace colloquy::auth
