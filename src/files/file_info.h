// What is known of a file without reading it, and what a caller may demand of it. Pure; any thread.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace colloquy::files {

struct FileInfo {
  std::string path;  // within the user's folder
  std::uint64_t bytes = 0;
  // A strong validator (RFC 9110, 8.8.1), without quotes: a hash of the inode's number, size, time
  // of modification and time of change. Every way of writing changes it, also another program's;
  // nothing needs to be read for it.
  std::string tag;
  std::int64_t modified_s = 0;
};

FileInfo info_of(std::string path, const struct stat& found);

// A regular file with one name. One with several may be somebody else's, linked here.
bool is_servable(const struct stat& found);

// RFC 9110, 13.1: what must hold of the file that is there now. As a whole it holds where all parts
// do.
struct Precondition {
  bool exists = false;                              // If-Match: *
  bool missing = false;                             // If-None-Match: *
  std::optional<std::vector<std::string>> one_of;   // If-Match; may be empty
  std::optional<std::vector<std::string>> none_of;  // If-None-Match
  std::optional<std::int64_t> unmodified_since_s;

  bool holds_for(const std::optional<FileInfo>& found) const;
};

}  // namespace colloquy::files
