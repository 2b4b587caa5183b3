// The key of one user's texts: AES-256-GCM (NIST SP 800-38D) with a random nonce for each text, and
// HMAC-SHA-256 for what must only be compared. Immutable, wiped from memory at its end; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace colloquy::keyring {

inline constexpr std::size_t kSecretBytes = 32;
inline constexpr std::size_t kKeyIdBytes = 8;
// What sealing adds to a text: nonce and tag.
inline constexpr std::size_t kSealBytes = 12 + 16;

// Bytes that nobody can foretell. Throws kInternal where OpenSSL has none.
std::string random_bytes(std::size_t count);
void wipe(std::string& secret);
// At the end of a scope, however it is left.
class WipeAtEnd {
 public:
  explicit WipeAtEnd(std::string& secret) : secret_(secret) {}
  ~WipeAtEnd() { wipe(secret_); }
  WipeAtEnd(const WipeAtEnd&) = delete;
  WipeAtEnd& operator=(const WipeAtEnd&) = delete;

 private:
  std::string& secret_;
};

// Nonce, encrypted text and tag. `secret` has 32 bytes; whoever opens it must know the same
// `context`.
std::string seal(std::string_view secret, std::string_view text, std::string_view context);
// nullopt: it was not sealed with this secret for this context, or it was changed.
std::optional<std::string> open(std::string_view secret, std::string_view sealed,
                                std::string_view context);

class DataKey {
 public:
  // `id` names it within the texts that it seals. Throws kInternal for a secret of another length.
  DataKey(std::string id, std::string_view secret, std::int64_t made_at_s);
  ~DataKey();
  DataKey(const DataKey&) = delete;
  DataKey& operator=(const DataKey&) = delete;

  const std::string& id() const { return id_; }
  std::int64_t made_at_s() const { return made_at_s_; }
  std::string seal(std::string_view text, std::string_view context) const;
  std::optional<std::string> open(std::string_view sealed, std::string_view context) const;
  // The same for the same text; says nothing of it to whoever has not the key.
  std::array<std::uint8_t, 32> digest(std::string_view text) const;
  // A secret of kSecretBytes of its own for one file; the same for the same id. To be wiped.
  std::string file_secret(std::string_view file_id) const;

 private:
  const std::string id_;
  const std::int64_t made_at_s_;
  std::string text_key_;
  std::string digest_key_;
  std::string file_key_;
};

}  // namespace colloquy::keyring
