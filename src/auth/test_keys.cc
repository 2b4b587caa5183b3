#include "auth/test_keys.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <stdexcept>

#include "auth/base64url.h"
#include "auth/verification_key.h"

namespace colloquy::auth::testing {
namespace {

namespace json = boost::json;

void must(bool good) {
  if (!good) throw std::runtime_error("OpenSSL refused");
}

std::string text_of(const unsigned char* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

}  // namespace

SigningKey SigningKey::rsa(unsigned bits) { return SigningKey(EVP_RSA_gen(bits)); }
SigningKey SigningKey::ec(const char* curve) { return SigningKey(EVP_EC_gen(curve)); }
SigningKey SigningKey::ed25519() {
  return SigningKey(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
}

std::string SigningKey::number(const char* parameter, std::size_t bytes) const {
  BIGNUM* value = nullptr;
  must(EVP_PKEY_get_bn_param(key_.get(), parameter, &value) == 1);
  if (bytes == 0) bytes = static_cast<std::size_t>(BN_num_bytes(value));
  std::string result(bytes, '\0');
  must(BN_bn2binpad(value, reinterpret_cast<unsigned char*>(result.data()),
                    static_cast<int>(bytes)) >= 0);
  BN_free(value);
  return base64url_encode(result);
}

json::object SigningKey::jwk(std::string_view key_id) const {
  json::object jwk;
  jwk["kid"] = json::string(key_id.data(), key_id.size());
  switch (EVP_PKEY_get_base_id(key_.get())) {
    case EVP_PKEY_RSA:
      jwk["kty"] = "RSA";
      jwk["n"] = number(OSSL_PKEY_PARAM_RSA_N, 0);
      jwk["e"] = number(OSSL_PKEY_PARAM_RSA_E, 0);
      break;
    case EVP_PKEY_EC:
      jwk["kty"] = "EC";
      jwk["crv"] = EVP_PKEY_get_bits(key_.get()) == 256 ? "P-256" : "P-384";
      jwk["x"] = number(OSSL_PKEY_PARAM_EC_PUB_X, 32);
      jwk["y"] = number(OSSL_PKEY_PARAM_EC_PUB_Y, 32);
      break;
    default: {
      std::string raw(32, '\0');
      std::size_t size = raw.size();
      must(EVP_PKEY_get_raw_public_key(key_.get(), reinterpret_cast<unsigned char*>(raw.data()),
                                       &size) == 1);
      jwk["kty"] = "OKP";
      jwk["crv"] = "Ed25519";
      jwk["x"] = base64url_encode(raw);
    }
  }
  return jwk;
}

std::string SigningKey::sign(std::string_view algorithm, std::string_view text) const {
  const bool is_ed25519 = EVP_PKEY_get_base_id(key_.get()) == EVP_PKEY_ED25519;
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  EVP_PKEY_CTX* key_context = nullptr;
  must(EVP_DigestSignInit(context, &key_context, is_ed25519 ? nullptr : EVP_sha256(), nullptr,
                          key_.get()) == 1);
  if (algorithm == "PS256") {
    must(EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING) == 1);
    must(EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, RSA_PSS_SALTLEN_DIGEST) == 1);
  }
  const auto* data = reinterpret_cast<const unsigned char*>(text.data());
  std::size_t size = 0;
  must(EVP_DigestSign(context, nullptr, &size, data, text.size()) == 1);
  std::string signature(size, '\0');
  auto* out = reinterpret_cast<unsigned char*>(signature.data());
  must(EVP_DigestSign(context, out, &size, data, text.size()) == 1);
  signature.resize(size);
  EVP_MD_CTX_free(context);
  if (EVP_PKEY_get_base_id(key_.get()) != EVP_PKEY_EC || algorithm == "DER") return signature;

  const auto* der = reinterpret_cast<const unsigned char*>(signature.data());
  ECDSA_SIG* pair = d2i_ECDSA_SIG(nullptr, &der, static_cast<long>(signature.size()));
  must(pair != nullptr);
  unsigned char raw[64];
  must(BN_bn2binpad(ECDSA_SIG_get0_r(pair), raw, 32) == 32);
  must(BN_bn2binpad(ECDSA_SIG_get0_s(pair), raw + 32, 32) == 32);
  ECDSA_SIG_free(pair);
  return text_of(raw, sizeof(raw));
}

std::string SigningKey::sign_der(std::string_view text) const { return sign("DER", text); }

std::string SigningKey::public_pem() const {
  BIO* bio = BIO_new(BIO_s_mem());
  must(PEM_write_bio_PUBKEY(bio, key_.get()) == 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string pem(data, static_cast<std::size_t>(size));
  BIO_free(bio);
  return pem;
}

const SigningKey& rsa_key() {
  static const SigningKey key = SigningKey::rsa();
  return key;
}
const SigningKey& ec_key() {
  static const SigningKey key = SigningKey::ec();
  return key;
}
const SigningKey& ed_key() {
  static const SigningKey key = SigningKey::ed25519();
  return key;
}

std::string encode_part(const json::object& part) {
  return base64url_encode(json::serialize(part));
}

std::string make_token(const SigningKey& key, const json::object& header,
                       const json::object& claims) {
  const std::string text = encode_part(header) + "." + encode_part(claims);
  const auto& algorithm = header.at("alg").as_string();
  const std::string signature = key.sign({algorithm.data(), algorithm.size()}, text);
  return text + "." + base64url_encode(signature);
}

std::string make_hmac_token(std::string_view secret, const json::object& header,
                            const json::object& claims) {
  const std::string text = encode_part(header) + "." + encode_part(claims);
  return text + "." + base64url_encode(hmac_sha256(secret, text));
}

std::string make_key_set(std::initializer_list<json::object> keys) {
  json::array list;
  for (const auto& key : keys) list.push_back(key);
  json::object set;
  set["keys"] = list;
  return json::serialize(set);
}

}  // namespace colloquy::auth::testing
