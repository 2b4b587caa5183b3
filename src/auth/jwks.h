// A JSON Web Key Set (RFC 7517): the public keys that an identity provider
// signs with. Immutable once parsed; any thread may read it.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/verification_key.h"
#include "base/limits.h"

namespace colloquy::auth {

inline constexpr std::size_t kKeySetBytesMax = limits::kMiB;
inline constexpr std::size_t kKeySetKeysMax = 256;

struct Jwk {
  std::optional<std::string> key_id;
  std::optional<Algorithm> algorithm;  // the only one it may be used with, where given
  VerificationKey key;
};

class JwkSet {
 public:
  // Throws Error kMalformed when `text` is not a key set at all. RSA, EC P-256 and Ed25519 keys
  // that may verify signatures are taken; every other key is left out, and `skipped()` says why.
  static JwkSet parse(std::string_view text);

  const std::vector<Jwk>& keys() const { return keys_; }
  // One line for each key left out, fit for the log.
  const std::vector<std::string>& skipped() const { return skipped_; }

  // The keys that may have signed a token of this header, at most kCandidatesMax: those that fit
  // the algorithm and have this id or, for a token that names none, any.
  std::vector<const Jwk*> candidates(Algorithm algorithm,
                                     const std::optional<std::string>& key_id) const;

 private:
  static constexpr std::size_t kCandidatesMax = 8;  // bounds what one token may cost

  std::vector<Jwk> keys_;
  std::vector<std::string> skipped_;
};

}  // namespace colloquy::auth
