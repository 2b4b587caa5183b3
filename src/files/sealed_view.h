// Files as their users know them, encrypted or not: lengths and contents are of what was written.
// Calls block; any thread. Errors: those of Volume, and unreadable_file (sealed_file.h).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "files/sealed_file.h"
#include "files/volume.h"

namespace colloquy::files {

// An open file, and what is to be known before it can be read.
struct ViewedFile {
  OpenFile file;                      // as it is stored
  FileInfo info;                      // as it is shown
  std::optional<std::string> header;  // of an encrypted one
};

// nullopt: there is none. With a null `form` every file is taken as it is.
std::optional<ViewedFile> open_viewed(const Volume& volume, const SealedForm* form,
                                      const UserId& user, const std::string& path);
std::optional<FileInfo> viewed_info(const Volume& volume, const SealedForm* form,
                                    const UserId& user, const std::string& path);
// Of a file in a list. One that cannot be read stays as it is.
void view(const Volume& volume, const SealedForm* form, const UserId& user, FileInfo& info);

// So that a file that was cut is known before the first byte of it is sent.
void check_end(const Volume& volume, const ViewedFile& file, const FileCipher& cipher);
// As Volume::read, of what was written. All pieces that it is of were opened, or it throws.
std::string read_sealed(const Volume& volume, const ViewedFile& file, const FileCipher& cipher,
                        std::uint64_t offset, std::size_t bytes);

}  // namespace colloquy::files
