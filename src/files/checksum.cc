#include "files/checksum.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "base/error.h"

namespace colloquy::files {
namespace {

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

int value_of(char c) {
  static constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const auto at = kLetters.find(c);
  return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

}  // namespace

bool is_base64_of(std::string_view text, std::size_t bytes) {
  if (text.size() != (bytes + 2) / 3 * 4) return false;
  const std::size_t padding = (3 - bytes % 3) % 3;
  const auto letters = text.substr(0, text.size() - padding);
  if (text.substr(letters.size()) != std::string_view("==").substr(0, padding)) return false;
  if (!std::all_of(letters.begin(), letters.end(), [](char c) { return value_of(c) >= 0; })) {
    return false;
  }
  // The bits that stand for nothing are zero.
  const int unused = padding == 2 ? 0xF : padding == 1 ? 0x3 : 0;
  return letters.empty() || (value_of(letters.back()) & unused) == 0;
}

struct Digester::State {
  std::unique_ptr<EVP_MD_CTX, FreeContext> context{EVP_MD_CTX_new()};

  explicit State(const EVP_MD* algorithm) {
    if (!context || EVP_DigestInit_ex(context.get(), algorithm, nullptr) != 1) {
      throw internal_error("a digest cannot be begun");
    }
  }
  void add(std::string_view bytes) {
    if (EVP_DigestUpdate(context.get(), bytes.data(), bytes.size()) != 1) {
      throw internal_error("a digest failed");
    }
  }
  std::string base64() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int bytes = 0;
    if (EVP_DigestFinal_ex(context.get(), digest.data(), &bytes) != 1) {
      throw internal_error("a digest failed");
    }
    std::array<unsigned char, EVP_MAX_MD_SIZE * 2> text{};
    const int written = EVP_EncodeBlock(text.data(), digest.data(), static_cast<int>(bytes));
    return {reinterpret_cast<const char*>(text.data()), static_cast<std::size_t>(written)};
  }
};

Digester::Digester(Checksums declared) : declared_(std::move(declared)) {
  if (!declared_.sha256.empty()) sha256_ = std::make_unique<State>(EVP_sha256());
  if (!declared_.sha512.empty()) sha512_ = std::make_unique<State>(EVP_sha512());
}

Digester::~Digester() = default;

void Digester::add(std::string_view bytes) {
  if (sha256_) sha256_->add(bytes);
  if (sha512_) sha512_->add(bytes);
}

bool Digester::matches() {
  if (sha256_ && sha256_->base64() != declared_.sha256) return false;
  return !sha512_ || sha512_->base64() == declared_.sha512;
}

}  // namespace colloquy::files
