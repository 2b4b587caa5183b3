#include "cluster/peer_key.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <array>
#include <charconv>
#include <utility>

#include "base/error.h"
#include "base/limits.h"
#include "base/read_file.h"
#include "base/text.h"

namespace colloquy::cluster {
namespace {

constexpr std::size_t kSecretBytesMin = 32;
constexpr std::size_t kFileBytesMax = 64 * limits::kKiB;
constexpr std::size_t kNonceBytes = 16;
constexpr std::string_view kNoUser = "-";  // is not hexadecimal

std::string mac_of(std::string_view secret, std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
           reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(),
           &size) == nullptr) {
    throw internal_error("HMAC failed");
  }
  return to_hex({reinterpret_cast<const char*>(digest.data()), size});
}

bool same(std::string_view left, std::string_view right) {
  return left.size() == right.size() && CRYPTO_memcmp(left.data(), right.data(), left.size()) == 0;
}

std::string nonce() {
  std::string random(kNonceBytes, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(random.data()), static_cast<int>(kNonceBytes)) !=
      1) {
    throw internal_error("RAND_bytes failed");
  }
  return to_hex(random);
}

// The next word of a header, taken off its front.
std::string_view take_word(std::string_view& text) {
  auto end = std::min(text.find(' '), text.size());
  auto word = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return word;
}

std::optional<UserId> user_of(std::string_view word) {
  if (word == kNoUser) return UserId();
  auto user = from_hex(word);
  if (!user || user->empty() || user->size() > limits::kUserIdBytes) return std::nullopt;
  return UserId(std::move(*user));
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    auto end = std::min(text.find('\n'), text.size());
    auto line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) lines.emplace_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

}  // namespace

PeerKey::PeerKey(std::vector<std::string> secrets) : secrets_(std::move(secrets)) {
  if (secrets_.empty()) throw Error(ErrorCode::kInvalid, "The cluster key is missing.");
  for (const auto& secret : secrets_) {
    if (secret.size() >= kSecretBytesMin) continue;
    throw Error(ErrorCode::kInvalid, "The cluster key is too short: at least 32 bytes are needed.");
  }
}

PeerKey PeerKey::load(const std::string& path) {
  auto file = read_file(path, kFileBytesMax);
  if ((file.permissions & 0007U) != 0) {
    throw Error(ErrorCode::kInvalid,
                "The cluster key " + path + " can be read by everyone: make it mode 0600.");
  }
  return PeerKey(lines_of(file.text));
}

std::string PeerKey::request_mac(std::size_t secret, std::string_view method,
                                 std::string_view target, std::string_view fields) const {
  std::string text = "colloquy peer request\n";
  text.append(method).append("\n").append(target).append("\n").append(fields);
  return mac_of(secrets_.at(secret), text);
}

std::string PeerKey::answer_mac(std::size_t secret, std::string_view request_mac,
                                int status) const {
  std::string text = "colloquy peer answer\n";
  text.append(std::to_string(status)).append("\n").append(request_mac);
  return mac_of(secrets_.at(secret), text);
}

PeerKey::Signed PeerKey::sign(const PeerRequest& request, std::int64_t now_s) const {
  auto user = request.user.value().empty() ? std::string(kNoUser) : to_hex(request.user.value());
  auto fields = "v1 " + std::to_string(now_s) + " " + nonce() + " " + user + " " + request.instance;
  auto mac = request_mac(0, request.method, request.target, fields);
  return {fields + " " + mac, mac};
}

std::optional<TrustedRequest> PeerKey::verify(std::string_view method, std::string_view target,
                                              std::string_view header, std::int64_t now_s) const {
  auto mac_at = header.rfind(' ');
  if (mac_at == std::string_view::npos) return std::nullopt;
  auto fields = header.substr(0, mac_at);
  auto mac = header.substr(mac_at + 1);
  std::optional<std::size_t> secret;
  for (std::size_t i = 0; i < secrets_.size(); ++i) {
    if (same(mac, request_mac(i, method, target, fields))) secret = i;
  }
  if (!secret) return std::nullopt;
  if (take_word(fields) != "v1") return std::nullopt;
  auto time = take_word(fields);
  std::int64_t made_at_s = 0;
  auto [rest, error] = std::from_chars(time.data(), time.data() + time.size(), made_at_s);
  bool is_time = error == std::errc() && rest == time.data() + time.size();
  if (!is_time || made_at_s < now_s - kPeerSeconds || made_at_s > now_s + kPeerSeconds) {
    return std::nullopt;
  }
  take_word(fields);  // the nonce
  auto user = user_of(take_word(fields));
  if (!user) return std::nullopt;
  return TrustedRequest{std::move(*user), std::string(fields), std::string(mac), *secret};
}

std::string PeerKey::prove(const TrustedRequest& request, int status) const {
  return "v1 " + answer_mac(request.secret, request.mac, status);
}

bool PeerKey::proves(std::string_view header, std::string_view request_mac, int status) const {
  // The request was signed with the first.
  return same(header, "v1 " + answer_mac(0, request_mac, status));
}

std::string PeerKey::key_of(std::size_t secret, std::string_view request_mac,
                            std::string_view salt) const {
  std::string text = "colloquy peer seal\n";
  text.append(salt).append("\n").append(request_mac);
  return from_hex(mac_of(secrets_.at(secret), text)).value();
}

std::string PeerKey::sealing_key(const TrustedRequest& request, std::string_view salt) const {
  return key_of(request.secret, request.mac, salt);
}

std::string PeerKey::sealing_key(std::string_view request_mac, std::string_view salt) const {
  return key_of(0, request_mac, salt);
}

std::string PeerKey::make_salt() { return nonce(); }

}  // namespace colloquy::cluster
