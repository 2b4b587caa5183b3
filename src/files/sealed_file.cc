#include "files/sealed_file.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/sha256.h"
#include "base/text.h"

namespace colloquy::files {
namespace {

// Not text, and no other format's.
constexpr std::string_view kMark =
    "\x89"
    "colloquy sealed\r\n\x1a\n";
constexpr char kVersion = 1;
constexpr std::size_t kMarkBytes = 20;
static_assert(kMark.size() == kMarkBytes);
constexpr std::size_t kKeyringBytes = 16;
constexpr std::size_t kKeyringAt = kMarkBytes + 1;
constexpr std::size_t kKeyAt = kKeyringAt + kKeyringBytes;
constexpr std::size_t kFileIdBytes = 16;
constexpr std::size_t kFileIdAt = kKeyAt + keyring::kKeyIdBytes;
static_assert(kFileIdAt + kFileIdBytes <= kSealedHeaderBytes);

std::uint64_t pieces_of(std::uint64_t bytes, std::uint64_t piece) {
  return std::max<std::uint64_t>(1, (bytes + piece - 1) / piece);
}

}  // namespace

std::uint64_t sealed_file_bytes(std::uint64_t plain_bytes) {
  return kSealedHeaderBytes + plain_bytes +
         pieces_of(plain_bytes, kPlainPieceBytes) * keyring::kSealBytes;
}

std::optional<std::uint64_t> plain_file_bytes(std::uint64_t sealed_bytes) {
  if (sealed_bytes < kSealedHeaderBytes + keyring::kSealBytes) return std::nullopt;
  const auto body = sealed_bytes - kSealedHeaderBytes;
  const auto added = pieces_of(body, kSealedPieceBytes) * keyring::kSealBytes;
  // The last piece of several has a byte at least.
  const bool is_one = sealed_file_bytes(body - std::min(added, body)) == sealed_bytes;
  return is_one ? std::optional(body - added) : std::nullopt;
}

Error unreadable_file(std::string why) {
  return {ErrorCode::kConflict,
          "The file was changed or cut by another program: it cannot be decrypted.",
          std::move(why)};
}

SealedForm::SealedForm(std::string_view keyring_id)
    : keyring_(bytes_of(sha256({"colloquy files of the keyring", keyring_id}))
                   .substr(0, kKeyringBytes)) {}

std::string SealedForm::make_header(std::string_view key_id) const {
  std::string header(kMark);
  header.push_back(kVersion);
  header += keyring_;
  header += key_id;
  header += keyring::random_bytes(kFileIdBytes);
  header.resize(kSealedHeaderBytes, '\0');
  return header;
}

bool SealedForm::begins_as_sealed(std::string_view beginning) const {
  if (beginning.empty()) return false;
  const auto common = std::min(beginning.size(), kMarkBytes);
  // Two marks, so that damage to one does not make an encrypted file a plain one.
  return beginning.substr(0, common) == kMark.substr(0, common) ||
         (beginning.size() > kKeyringAt && beginning.substr(kKeyringAt, kKeyringBytes) == keyring_);
}

std::optional<std::string> SealedForm::find_header(std::string_view beginning) const {
  if (!begins_as_sealed(beginning)) return std::nullopt;
  if (beginning.size() < kSealedHeaderBytes) throw unreadable_file("it is cut within its header");
  if (!beginning.starts_with(kMark)) throw unreadable_file("its mark was changed");
  if (beginning[kMarkBytes] != kVersion) throw unreadable_file("a newer server has written it");
  if (beginning.substr(kKeyringAt, kKeyringBytes) != keyring_) {
    throw unreadable_file("it was encrypted with another keyring");
  }
  return std::string(beginning.substr(0, kSealedHeaderBytes));
}

std::string data_key_of_header(std::string_view header) {
  return std::string(header.substr(kKeyAt, keyring::kKeyIdBytes));
}

FileCipher::FileCipher(std::string header, const UserId& user, const keyring::DataKey& key)
    : header_(std::move(header)),
      user_(user.value()),
      secret_(key.file_secret(std::string_view(header_).substr(kFileIdAt, kFileIdBytes))) {}

FileCipher::~FileCipher() { keyring::wipe(secret_); }

std::string FileCipher::context(std::uint64_t number, bool last) const {
  std::string context(header_);
  for (unsigned shift = 0; shift < 64; shift += 8) {
    context.push_back(static_cast<char>(static_cast<std::uint8_t>(number >> shift)));
  }
  context.push_back(last ? '\1' : '\0');
  return context + user_;
}

std::string FileCipher::seal(std::string_view piece, std::uint64_t number, bool last) const {
  return keyring::seal(secret_, piece, context(number, last));
}

std::string FileCipher::open(std::string_view sealed, std::uint64_t number, bool last) const {
  auto piece = keyring::open(secret_, sealed, context(number, last));
  if (!piece) throw unreadable_file("piece " + std::to_string(number) + " cannot be opened");
  return std::move(*piece);
}

std::string FileSealer::add(std::string_view bytes) {
  std::string ready;
  if (!begun_) ready = cipher_.header();
  begun_ = true;
  while (!bytes.empty()) {
    if (held_.size() == kPlainPieceBytes) {
      ready += cipher_.seal(held_, number_++, false);
      held_.clear();
    }
    const auto taken = std::min(bytes.size(), kPlainPieceBytes - held_.size());
    held_ += bytes.substr(0, taken);
    bytes.remove_prefix(taken);
  }
  return ready;
}

std::string FileSealer::end() {
  auto ready = add({});
  ready += cipher_.seal(held_, number_, true);
  held_.clear();
  return ready;
}

}  // namespace colloquy::files
