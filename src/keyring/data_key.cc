#include "keyring/data_key.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <memory>
#include <utility>

#include "base/error.h"

namespace colloquy::keyring {
namespace {

constexpr std::size_t kNonceBytes = 12;
constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kTextBytesMax = std::size_t{1} << 30;

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

unsigned char* bytes_of(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }
const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// Looking the algorithm up costs more than sealing a short text.
const EVP_CIPHER* algorithm() {
  static EVP_CIPHER* const kAlgorithm = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  return kAlgorithm;
}

std::array<std::uint8_t, 32> mac_of(std::string_view key, std::string_view text) {
  std::array<std::uint8_t, 32> digest{};
  unsigned size = 0;
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes_of(text), text.size(),
           digest.data(), &size) == nullptr) {
    throw internal_error("HMAC failed");
  }
  return digest;
}

// So that no key is used for two things.
std::string derived(std::string_view secret, std::string_view purpose) {
  if (secret.size() != kSecretBytes) throw internal_error("a data key does not have 32 bytes");
  auto digest = mac_of(secret, purpose);
  std::string key(digest.begin(), digest.end());
  OPENSSL_cleanse(digest.data(), digest.size());
  return key;
}

}  // namespace

std::string random_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  if (RAND_bytes(bytes_of(bytes), static_cast<int>(count)) != 1) {
    throw internal_error("RAND_bytes failed");
  }
  return bytes;
}

void wipe(std::string& secret) {
  OPENSSL_cleanse(secret.data(), secret.size());
  secret.clear();
}

std::string seal(std::string_view secret, std::string_view text, std::string_view context) {
  if (text.size() > kTextBytesMax) throw internal_error("a text is too long to be sealed");
  auto sealed = random_bytes(kNonceBytes);
  sealed.resize(kNonceBytes + text.size() + kTagBytes);
  auto* out = bytes_of(sealed);
  Context cipher(EVP_CIPHER_CTX_new());
  int size = 0;
  bool done = cipher != nullptr && algorithm() != nullptr && secret.size() == kSecretBytes &&
              EVP_EncryptInit_ex2(cipher.get(), algorithm(), bytes_of(secret), out, nullptr) == 1 &&
              EVP_EncryptUpdate(cipher.get(), nullptr, &size, bytes_of(context),
                                static_cast<int>(context.size())) == 1 &&
              EVP_EncryptUpdate(cipher.get(), out + kNonceBytes, &size, bytes_of(text),
                                static_cast<int>(text.size())) == 1 &&
              EVP_EncryptFinal_ex(cipher.get(), out + kNonceBytes + text.size(), &size) == 1 &&
              EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, static_cast<int>(kTagBytes),
                                  out + kNonceBytes + text.size()) == 1;
  if (!done) throw internal_error("AES-GCM failed");
  return sealed;
}

std::optional<std::string> open(std::string_view secret, std::string_view sealed,
                                std::string_view context) {
  if (sealed.size() < kSealBytes || sealed.size() > kTextBytesMax + kSealBytes) return std::nullopt;
  auto length = sealed.size() - kSealBytes;
  std::string tag(sealed.substr(kNonceBytes + length));
  std::string text(length, '\0');
  Context cipher(EVP_CIPHER_CTX_new());
  int size = 0;
  bool good = cipher != nullptr && algorithm() != nullptr && secret.size() == kSecretBytes &&
              EVP_DecryptInit_ex2(cipher.get(), algorithm(), bytes_of(secret), bytes_of(sealed),
                                  nullptr) == 1 &&
              EVP_DecryptUpdate(cipher.get(), nullptr, &size, bytes_of(context),
                                static_cast<int>(context.size())) == 1 &&
              EVP_DecryptUpdate(cipher.get(), bytes_of(text), &size, bytes_of(sealed) + kNonceBytes,
                                static_cast<int>(length)) == 1 &&
              EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, static_cast<int>(kTagBytes),
                                  bytes_of(tag)) == 1 &&
              EVP_DecryptFinal_ex(cipher.get(), bytes_of(text) + length, &size) == 1;
  if (!good) return std::nullopt;
  return text;
}

DataKey::DataKey(std::string id, std::string_view secret, std::int64_t made_at_s)
    : id_(std::move(id)),
      made_at_s_(made_at_s),
      text_key_(derived(secret, "colloquy texts")),
      digest_key_(derived(secret, "colloquy digests")),
      file_key_(derived(secret, "colloquy files")) {}

DataKey::~DataKey() {
  wipe(text_key_);
  wipe(digest_key_);
  wipe(file_key_);
}

std::string DataKey::seal(std::string_view text, std::string_view context) const {
  return keyring::seal(text_key_, text, context);
}

std::optional<std::string> DataKey::open(std::string_view sealed, std::string_view context) const {
  return keyring::open(text_key_, sealed, context);
}

std::array<std::uint8_t, 32> DataKey::digest(std::string_view text) const {
  return mac_of(digest_key_, text);
}

std::string DataKey::file_secret(std::string_view file_id) const {
  return derived(file_key_, file_id);
}

}  // namespace colloquy::keyring
