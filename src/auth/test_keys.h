// For tests: private keys made by OpenSSL, the tokens they sign and their JWKs.
#pragma once

#include <openssl/evp.h>

#include <boost/json/object.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/testing/run_task.h"

namespace colloquy::auth::testing {

class SigningKey {
 public:
  static SigningKey rsa(unsigned bits = 2048);
  static SigningKey ec(const char* curve = "P-256");
  static SigningKey ed25519();

  // The public half, with `kid`, `kty` and what belongs to it.
  boost::json::object jwk(std::string_view key_id) const;
  // In JWS form. PS256 is told from RS256 by `algorithm`.
  std::string sign(std::string_view algorithm, std::string_view text) const;
  // ECDSA's DER form, which a JWS must not hold.
  std::string sign_der(std::string_view text) const;
  // The public key as PEM, which careless servers let pass for an HMAC secret.
  std::string public_pem() const;

 private:
  explicit SigningKey(EVP_PKEY* key) : key_(key, EVP_PKEY_free) {}
  std::string number(const char* parameter, std::size_t bytes) const;
  std::shared_ptr<EVP_PKEY> key_;
};

// One of each for the whole program: making RSA keys takes a while.
const SigningKey& rsa_key();
const SigningKey& ec_key();
const SigningKey& ed_key();

std::string encode_part(const boost::json::object& part);
// header.payload.signature, by a key or by an HMAC secret.
std::string make_token(const SigningKey& key, const boost::json::object& header,
                       const boost::json::object& claims);
std::string make_hmac_token(std::string_view secret, const boost::json::object& header,
                            const boost::json::object& claims);
std::string make_key_set(std::initializer_list<boost::json::object> keys);

// The code of the Error that `call` throws; nullopt if it throws none.
template <class Call>
std::optional<ErrorCode> error_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error.code();
  }
  return std::nullopt;
}

}  // namespace colloquy::auth::testing
