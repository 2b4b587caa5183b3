#include "store/dynamodb/aws/hmac.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <memory>
#include <string>

#include "base/error.h"

namespace colloquy::aws {
namespace {

using Context = std::unique_ptr<EVP_MAC_CTX, decltype(&EVP_MAC_CTX_free)>;

[[noreturn]] void fail() { throw internal_error("HMAC failed"); }

}  // namespace

HmacKey::HmacKey(std::string_view key) {
  // Looking the algorithm up costs more than using it.
  static EVP_MAC* const kAlgorithm = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  Context context(EVP_MAC_CTX_new(kAlgorithm), EVP_MAC_CTX_free);
  std::string hash = "SHA256";
  const std::array<OSSL_PARAM, 2> parameters{
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, hash.data(), 0),
      OSSL_PARAM_construct_end()};
  // A null pointer would mean "no key yet" to OpenSSL, whatever the length.
  const char* const bytes = key.empty() ? "" : key.data();
  if (!context || EVP_MAC_init(context.get(), reinterpret_cast<const unsigned char*>(bytes),
                               key.size(), parameters.data()) != 1) {
    fail();
  }
  keyed_ = context.release();
}

HmacKey::~HmacKey() { EVP_MAC_CTX_free(keyed_); }

Digest HmacKey::digest(std::string_view text) const {
  const Context context(EVP_MAC_CTX_dup(keyed_), EVP_MAC_CTX_free);
  Digest digest{};
  std::size_t size = 0;
  const bool good =
      context &&
      EVP_MAC_update(context.get(), reinterpret_cast<const unsigned char*>(text.data()),
                     text.size()) == 1 &&
      EVP_MAC_final(context.get(), digest.data(), &size, digest.size()) == 1;
  if (!good || size != digest.size()) fail();
  return digest;
}

}  // namespace colloquy::aws
