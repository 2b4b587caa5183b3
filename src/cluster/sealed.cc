#include "cluster/sealed.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "base/base64.h"
#include "base/error.h"
#include "base/limits.h"

namespace colloquy::cluster {
namespace {

constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kNonceBytes = 12;
constexpr std::size_t kTextBytesMax = 16 * limits::kMiB;

using Nonce = std::array<unsigned char, kNonceBytes>;
struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

unsigned char* bytes_of(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }
const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string checked(std::string key) {
  if (key.size() != kKeyBytes) throw Error(ErrorCode::kInvalid, "A sealing key has 32 bytes.");
  return key;
}

// A number is used once with a key, as GCM demands.
Nonce nonce_of(std::uint64_t number) {
  Nonce nonce{};
  for (std::size_t i = 0; i < sizeof(number); ++i) {
    nonce[kNonceBytes - 1 - i] = static_cast<unsigned char>(number >> (8 * i));
  }
  return nonce;
}

}  // namespace

Sealer::Sealer(std::string key) : key_(checked(std::move(key))) {}
Unsealer::Unsealer(std::string key) : key_(checked(std::move(key))) {}

std::string Sealer::seal(std::string_view text) {
  if (text.size() > kTextBytesMax) throw internal_error("a message is too long to be sealed");
  auto nonce = nonce_of(number_++);
  std::string sealed(text.size() + kTagBytes, '\0');
  Context context(EVP_CIPHER_CTX_new());
  int size = 0;
  int rest = 0;
  bool done = context != nullptr &&
              EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr,
                                 bytes_of(std::string_view(key_)), nonce.data()) == 1 &&
              EVP_EncryptUpdate(context.get(), bytes_of(sealed), &size, bytes_of(text),
                                static_cast<int>(text.size())) == 1 &&
              EVP_EncryptFinal_ex(context.get(), bytes_of(sealed) + size, &rest) == 1 &&
              EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, static_cast<int>(kTagBytes),
                                  bytes_of(sealed) + text.size()) == 1;
  if (!done) throw internal_error("AES-GCM failed");
  return base64_encode(sealed);
}

std::optional<std::string> Unsealer::open(std::string_view sealed) {
  if (sealed.size() > 2 * kTextBytesMax) return std::nullopt;
  auto bytes = base64_decode(sealed);
  if (!bytes || bytes->size() < kTagBytes) return std::nullopt;
  auto nonce = nonce_of(number_++);
  auto length = bytes->size() - kTagBytes;
  std::string text(length, '\0');
  Context context(EVP_CIPHER_CTX_new());
  int size = 0;
  int rest = 0;
  bool good =
      context != nullptr &&
      EVP_DecryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr,
                         bytes_of(std::string_view(key_)), nonce.data()) == 1 &&
      EVP_DecryptUpdate(context.get(), bytes_of(text), &size, bytes_of(std::string_view(*bytes)),
                        static_cast<int>(length)) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, static_cast<int>(kTagBytes),
                          bytes_of(*bytes) + length) == 1 &&
      EVP_DecryptFinal_ex(context.get(), bytes_of(text) + size, &rest) == 1;
  if (!good) return std::nullopt;
  return text;
}

}  // namespace colloquy::cluster
