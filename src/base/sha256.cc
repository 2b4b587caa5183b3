#include "base/sha256.h"

#include <openssl/evp.h>

#include <memory>

#include "base/error.h"

namespace colloquy {

std::array<std::uint8_t, 32> sha256(std::initializer_list<std::string_view> pieces) {
  // Looking the algorithm up costs more than hashing a short text.
  static EVP_MD* const kAlgorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                  EVP_MD_CTX_free);
  std::array<std::uint8_t, 32> digest{};
  bool good = context && EVP_DigestInit_ex2(context.get(), kAlgorithm, nullptr) == 1;
  for (auto piece : pieces) {
    good = good && EVP_DigestUpdate(context.get(), piece.data(), piece.size()) == 1;
  }
  if (!good || EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) != 1) {
    throw internal_error("SHA-256 failed");
  }
  return digest;
}

std::string_view bytes_of(std::span<const std::uint8_t> digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

std::uint64_t leading_number(std::span<const std::uint8_t, 32> digest) {
  std::uint64_t number = 0;
  for (auto byte : digest.first<8>()) number = number << 8U | byte;
  return number;
}

}  // namespace colloquy
