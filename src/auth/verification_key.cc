#include "auth/verification_key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>

#include "base/error.h"

namespace colloquy::auth {
namespace {

constexpr std::size_t kP256Bytes = 32;
constexpr std::size_t kEd25519KeyBytes = 32;
constexpr std::size_t kEd25519SignatureBytes = 64;
constexpr std::size_t kRsaExponentBytesMax = 8;

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};

using BigNumber = std::unique_ptr<BIGNUM, Deleter<BN_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Deleter<EVP_PKEY_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>>;
using ParamBuilder = std::unique_ptr<OSSL_PARAM_BLD, Deleter<OSSL_PARAM_BLD_free>>;
using Params = std::unique_ptr<OSSL_PARAM, Deleter<OSSL_PARAM_free>>;
using EcdsaSignature = std::unique_ptr<ECDSA_SIG, Deleter<ECDSA_SIG_free>>;
using PublicKey = std::shared_ptr<EVP_PKEY>;

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

[[noreturn]] void refuse(std::string reason) {
  ERR_clear_error();
  throw Error(ErrorCode::kInvalid, std::move(reason));
}

BigNumber big_number(std::string_view big_endian) {
  return BigNumber(BN_bin2bn(bytes_of(big_endian), static_cast<int>(big_endian.size()), nullptr));
}

// The public key that `builder` describes; null where OpenSSL does not take it.
PublicKey build_key(const char* type, OSSL_PARAM_BLD* builder) {
  const Params params(OSSL_PARAM_BLD_to_param(builder));
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* raw = nullptr;
  if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &raw, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) {
    return nullptr;
  }
  return {raw, EVP_PKEY_free};
}

bool is_valid(const PublicKey& key) {
  const KeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
  return context && EVP_PKEY_public_check(context.get()) == 1;
}

// r and s, big-endian and of one length (RFC 7518 section 3.4), as the DER that OpenSSL wants.
std::string der_signature(std::string_view signature) {
  const EcdsaSignature ecdsa(ECDSA_SIG_new());
  BigNumber r = big_number(signature.substr(0, kP256Bytes));
  BigNumber s = big_number(signature.substr(kP256Bytes));
  if (!ecdsa || !r || !s || ECDSA_SIG_set0(ecdsa.get(), r.get(), s.get()) != 1) return {};
  // ECDSA_SIG_set0 took both over.
  static_cast<void>(r.release());
  static_cast<void>(s.release());
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(ecdsa.get(), &der);
  if (size <= 0) return {};
  std::string result(reinterpret_cast<char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return result;
}

bool verify_digest(EVP_PKEY* key, Algorithm algorithm, std::string_view text,
                   std::string_view signature) {
  const DigestContext context(EVP_MD_CTX_new());
  const EVP_MD* digest = algorithm == Algorithm::kEdDsa ? nullptr : EVP_sha256();
  EVP_PKEY_CTX* key_context = nullptr;  // owned by context
  bool good =
      context && EVP_DigestVerifyInit(context.get(), &key_context, digest, nullptr, key) == 1;
  if (good && algorithm == Algorithm::kPs256) {
    good = EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, RSA_PSS_SALTLEN_DIGEST) == 1 &&
           EVP_PKEY_CTX_set_rsa_mgf1_md(key_context, EVP_sha256()) == 1;
  }
  good = good && EVP_DigestVerify(context.get(), bytes_of(signature), signature.size(),
                                  bytes_of(text), text.size()) == 1;
  ERR_clear_error();  // the queue belongs to the thread, and TLS reads it too
  return good;
}

}  // namespace

std::optional<Algorithm> parse_algorithm(std::string_view name) {
  if (name == "HS256") return Algorithm::kHs256;
  if (name == "RS256") return Algorithm::kRs256;
  if (name == "PS256") return Algorithm::kPs256;
  if (name == "ES256") return Algorithm::kEs256;
  if (name == "EdDSA" || name == "Ed25519") return Algorithm::kEdDsa;
  return std::nullopt;
}

std::string_view algorithm_name(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::kHs256:
      return "HS256";
    case Algorithm::kRs256:
      return "RS256";
    case Algorithm::kPs256:
      return "PS256";
    case Algorithm::kEs256:
      return "ES256";
    case Algorithm::kEdDsa:
      return "EdDSA";
  }
  return "";
}

VerificationKey::VerificationKey(Type type, std::string secret, std::shared_ptr<EVP_PKEY> key)
    : type_(type), secret_(std::move(secret)), public_key_(std::move(key)) {}

VerificationKey VerificationKey::hmac(std::string secret) {
  if (secret.size() < kHmacKeyBytesMin) refuse("An HS256 key needs at least 32 bytes.");
  return {Type::kHmac, std::move(secret), nullptr};
}

VerificationKey VerificationKey::rsa(std::string_view modulus, std::string_view exponent) {
  if (modulus.size() > kRsaBitsMax / 8 + 1 || exponent.size() > kRsaExponentBytesMax) {
    refuse("The RSA key is too large.");
  }
  const BigNumber n = big_number(modulus);
  const BigNumber e = big_number(exponent);
  if (!n || !e) refuse("The RSA key cannot be read.");
  if (BN_num_bits(n.get()) < kRsaBitsMin) refuse("The RSA key has less than 2048 bits.");
  if (BN_num_bits(n.get()) > kRsaBitsMax) refuse("The RSA key is too large.");
  if (!BN_is_odd(e.get()) || BN_is_one(e.get())) refuse("The RSA key's exponent is not usable.");
  const ParamBuilder builder(OSSL_PARAM_BLD_new());
  if (!builder || OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1) {
    refuse("The RSA key cannot be read.");
  }
  auto key = build_key("RSA", builder.get());
  if (!key) refuse("The RSA key cannot be read.");
  return {Type::kRsa, {}, std::move(key)};
}

VerificationKey VerificationKey::ec_p256(std::string_view x, std::string_view y) {
  if (x.size() != kP256Bytes || y.size() != kP256Bytes) {
    refuse("A P-256 key's coordinates have 32 bytes each.");
  }
  std::string point("\x04");  // uncompressed
  point.append(x).append(y);
  const ParamBuilder builder(OSSL_PARAM_BLD_new());
  if (!builder ||
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                       point.size()) != 1) {
    refuse("The P-256 key cannot be read.");
  }
  auto key = build_key("EC", builder.get());
  if (!key || !is_valid(key)) refuse("The P-256 key is not a point of the curve.");
  return {Type::kEcP256, {}, std::move(key)};
}

VerificationKey VerificationKey::ed25519(std::string_view public_key) {
  if (public_key.size() != kEd25519KeyBytes) refuse("An Ed25519 key has 32 bytes.");
  PublicKey key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes_of(public_key),
                                            public_key.size()),
                EVP_PKEY_free);
  if (!key) refuse("The Ed25519 key cannot be read.");
  return {Type::kEd25519, {}, std::move(key)};
}

bool VerificationKey::fits(Algorithm algorithm) const {
  switch (algorithm) {
    case Algorithm::kHs256:
      return type_ == Type::kHmac;
    case Algorithm::kRs256:
    case Algorithm::kPs256:
      return type_ == Type::kRsa;
    case Algorithm::kEs256:
      return type_ == Type::kEcP256;
    case Algorithm::kEdDsa:
      return type_ == Type::kEd25519;
  }
  return false;
}

bool VerificationKey::verify(Algorithm algorithm, std::string_view text,
                             std::string_view signature) const {
  if (!fits(algorithm)) return false;
  switch (algorithm) {
    case Algorithm::kHs256: {
      const std::string expected = hmac_sha256(secret_, text);
      return signature.size() == expected.size() &&
             CRYPTO_memcmp(signature.data(), expected.data(), expected.size()) == 0;
    }
    case Algorithm::kEs256: {
      if (signature.size() != 2 * kP256Bytes) return false;
      const std::string der = der_signature(signature);
      return !der.empty() && verify_digest(public_key_.get(), algorithm, text, der);
    }
    case Algorithm::kEdDsa:
      if (signature.size() != kEd25519SignatureBytes) return false;
      return verify_digest(public_key_.get(), algorithm, text, signature);
    case Algorithm::kRs256:
    case Algorithm::kPs256:
      // RFC 8017, 8.1.2 and 8.2.2, step 1. OpenSSL takes one whose leading zero is left out.
      if (signature.size() != static_cast<std::size_t>(EVP_PKEY_get_size(public_key_.get()))) {
        return false;
      }
      return verify_digest(public_key_.get(), algorithm, text, signature);
  }
  return false;
}

std::string hmac_sha256(std::string_view key, std::string_view text) {
  std::string result(SHA256_DIGEST_LENGTH, '\0');
  unsigned size = 0;
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes_of(text), text.size(),
           reinterpret_cast<unsigned char*>(result.data()), &size) == nullptr) {
    throw internal_error("HMAC failed");
  }
  return result;
}

}  // namespace colloquy::auth
