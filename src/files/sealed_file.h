// The form of an encrypted file: a header of 64 bytes, then pieces of 64 KiB, the last one shorter,
// each sealed with a key of the file's own, which the user's data key and the file's id give
// (AES-256-GCM, with a random nonce for each piece). A piece is bound to the header, to its user,
// to its number and to whether it is the last: one that was changed, moved, cut off, added or taken
// from another file cannot be opened. The file's name is not in it, so that it may be renamed.
//
//   20 bytes  a mark
//    1        version
//   16        which keyring
//    8        id of the data key
//   16        id of the file, random
//    3        zero
//
// Immutable but for FileSealer; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/ids.h"
#include "base/limits.h"
#include "keyring/data_key.h"

namespace colloquy::files {

inline constexpr std::size_t kSealedHeaderBytes = 64;
inline constexpr std::size_t kPlainPieceBytes = 64 * limits::kKiB;
inline constexpr std::size_t kSealedPieceBytes = kPlainPieceBytes + keyring::kSealBytes;

// How long a file of so many bytes is when it is encrypted.
std::uint64_t sealed_file_bytes(std::uint64_t plain_bytes);
// How many bytes an encrypted file has; nullopt: none is so long.
std::optional<std::uint64_t> plain_file_bytes(std::uint64_t sealed_bytes);

// It cannot be decrypted. kConflict, since other programs write there too; `why` is for the log.
Error unreadable_file(std::string why);

// How encrypted files begin, of one keyring.
class SealedForm {
 public:
  explicit SealedForm(std::string_view keyring_id);

  std::string make_header(std::string_view key_id) const;
  // Whether it is to be taken for an encrypted file, a damaged one too. `beginning`: the first
  // kSealedHeaderBytes, or all there is. What has the first letters of the mark and ends there is
  // one that was cut. An empty one is plain.
  bool begins_as_sealed(std::string_view beginning) const;
  // The header of an encrypted file; nullopt of a plain one. Throws unreadable_file.
  std::optional<std::string> find_header(std::string_view beginning) const;

 private:
  const std::string keyring_;
};

// The data key that a header names.
std::string data_key_of_header(std::string_view header);

class FileCipher {
 public:
  FileCipher(std::string header, const UserId& user, const keyring::DataKey& key);
  ~FileCipher();
  FileCipher(const FileCipher&) = delete;
  FileCipher& operator=(const FileCipher&) = delete;

  const std::string& header() const { return header_; }
  std::string seal(std::string_view piece, std::uint64_t number, bool last) const;
  // Throws unreadable_file.
  std::string open(std::string_view sealed, std::uint64_t number, bool last) const;

 private:
  std::string context(std::uint64_t number, bool last) const;

  const std::string header_;
  const std::string user_;
  std::string secret_;
};

// A file as it is written, from its beginning to its end.
class FileSealer {
 public:
  FileSealer(std::string header, const UserId& user, const keyring::DataKey& key)
      : cipher_(std::move(header), user, key) {}

  // What can be written now.
  std::string add(std::string_view bytes);
  std::string end();

 private:
  const FileCipher cipher_;
  std::string held_;  // a piece may be the last one
  std::uint64_t number_ = 0;
  bool begun_ = false;
};

}  // namespace colloquy::files
