// A user's files in the order of their paths' bytes, a page at a time.
//
// A page costs what the folders that it goes through hold, and no more memory than the page: of a
// folder, however large, only the next few names are kept. Thread-safe; calls block.
#pragma once

#include <string>
#include <vector>

#include "base/ids.h"
#include "files/file_info.h"
#include "files/volume.h"

namespace colloquy::files {

struct ListRequest {
  std::string prefix;  // of the path, byte for byte
  std::string from;    // the least path that is listed; empty: the first
  std::size_t limit = 0;
};

struct ListPage {
  std::vector<FileInfo> files;
  // Where the next page begins; empty: there is none. A page may be short, or empty, and have a
  // next one, where it went through many folders.
  std::string next;
};

// Errors: kConflict where a folder has more names than kListedNames; kUnavailable.
ListPage list(const Volume& volume, const UserId& user, const ListRequest& request);

inline constexpr std::size_t kListedNames = 1'000'000;
inline constexpr std::size_t kListedFolders = 2000;

}  // namespace colloquy::files
