// Turns a signed token (JWT, RFC 7519) into the user who asks.
//
// Two kinds of keys: one HS256 secret of our own (auth/token_key.h), and the key
// set of an identity provider (auth/key_set.h). What is checked, in this order:
// form; that the algorithm is listed; issuer; signature, by a key of the type
// that the algorithm needs; expiry; that it is valid yet; audience; user id.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "auth/authenticator.h"
#include "auth/key_set.h"
#include "auth/token_cache.h"
#include "auth/token_key.h"
#include "auth/verification_key.h"
#include "base/clock.h"

namespace colloquy::auth {

struct Jwt;

struct TokenOptions {
  // Empty: those of the key set where there is one, else HS256. So with a key set HS256 tokens are
  // refused unless listed here.
  std::vector<Algorithm> algorithms;
  std::optional<std::string> hs256_key;  // at least kHmacKeyBytesMin bytes
  std::shared_ptr<KeySet> key_set;       // null: none
  // A token's `iss` must be this. Tokens of other issuers never cause the key set to be fetched.
  std::string issuer{kEmbeddedIssuer};
  // Where not empty, a token's `aud` must hold one of them. An access token of Amazon Cognito
  // (`token_use` is "access", no `aud`) must have one as its `client_id`.
  std::vector<std::string> audiences;
  std::int64_t clock_skew_s = 60;
  // Cognito's ID tokens (`token_use` is "id") say who someone is to the application, not what they
  // may do here; they are refused unless this is set.
  bool accept_cognito_id_tokens = false;
  std::size_t cached_tokens = 8192;  // verified tokens remembered
};

// Callable from any event loop. `clock` must outlive it.
class TokenAuthenticator final : public Authenticator {
 public:
  // Throws Error kInvalid, with the setting as its field, when the options do not go together: no
  // key at all, an algorithm listed without its kind of key, no issuer, a short key.
  TokenAuthenticator(TokenOptions options, const Clock& clock);

  Task<Identity> authenticate(std::string token) override;

 private:
  bool is_listed(Algorithm algorithm) const;
  bool has_expired(std::int64_t expires_at_s) const;
  Task<std::optional<Identity>> recall(const TokenDigest& digest);
  // The version of the key set whose key verified it; 0 for the HS256 key. Throws if none did.
  Task<std::uint64_t> verify(const Jwt& jwt);
  Identity check_claims(const Jwt& jwt) const;
  void check_audience(const Jwt& jwt) const;

  TokenOptions options_;
  const Clock& clock_;
  std::optional<VerificationKey> hs256_key_;
  TokenCache cache_;
};

}  // namespace colloquy::auth
