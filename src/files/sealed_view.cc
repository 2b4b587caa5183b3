#include "files/sealed_view.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace colloquy::files {
namespace {

std::string open_piece(const Volume& volume, const ViewedFile& file, const FileCipher& cipher,
                       std::uint64_t number) {
  const auto sealed =
      volume.read(file.file, kSealedHeaderBytes + number * kSealedPieceBytes, kSealedPieceBytes);
  const bool last = file.info.bytes <= (number + 1) * kPlainPieceBytes;
  return cipher.open(sealed, number, last);
}

}  // namespace

std::optional<ViewedFile> open_viewed(const Volume& volume, const SealedForm* form,
                                      const UserId& user, const std::string& path) {
  auto opened = volume.open(user, path);
  if (!opened) return std::nullopt;
  ViewedFile viewed{std::move(*opened), {}, {}};
  viewed.info = viewed.file.info;
  if (form == nullptr) return viewed;
  viewed.header = form->find_header(volume.read(viewed.file, 0, kSealedHeaderBytes));
  if (!viewed.header) return viewed;
  const auto bytes = plain_file_bytes(viewed.file.info.bytes);
  if (!bytes) throw unreadable_file("no encrypted file is so long");
  viewed.info.bytes = *bytes;
  return viewed;
}

std::optional<FileInfo> viewed_info(const Volume& volume, const SealedForm* form,
                                    const UserId& user, const std::string& path) {
  if (form == nullptr) return volume.info(user, path);
  auto viewed = open_viewed(volume, form, user, path);
  // What may not be read may still be looked at.
  if (!viewed) return volume.info(user, path);
  return std::move(viewed->info);
}

void view(const Volume& volume, const SealedForm* form, const UserId& user, FileInfo& info) {
  if (form == nullptr || info.bytes == 0) return;
  try {
    auto viewed = open_viewed(volume, form, user, info.path);
    if (viewed) info = std::move(viewed->info);
  } catch (const Error&) {
    return;
  }
}

void check_end(const Volume& volume, const ViewedFile& file, const FileCipher& cipher) {
  const auto bytes = file.info.bytes;
  open_piece(volume, file, cipher, bytes == 0 ? 0 : (bytes - 1) / kPlainPieceBytes);
}

std::string read_sealed(const Volume& volume, const ViewedFile& file, const FileCipher& cipher,
                        std::uint64_t offset, std::size_t bytes) {
  std::string text;
  if (offset >= file.info.bytes) return text;
  const auto end = offset + std::min<std::uint64_t>(bytes, file.info.bytes - offset);
  text.reserve(static_cast<std::size_t>(end - offset));
  while (offset < end) {
    const auto number = offset / kPlainPieceBytes;
    const auto piece = open_piece(volume, file, cipher, number);
    const auto first = static_cast<std::size_t>(offset - number * kPlainPieceBytes);
    const auto wanted = std::min<std::uint64_t>(end - offset, kPlainPieceBytes - first);
    text.append(piece, first, static_cast<std::size_t>(wanted));
    offset += wanted;
  }
  return text;
}

}  // namespace colloquy::files
