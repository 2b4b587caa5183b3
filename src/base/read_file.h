// Reads a small file whole: a key, a list of settings. Any thread may call it; it blocks for as
// long as the disk does.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <string>

namespace colloquy {

struct FileContent {
  std::string text;
  mode_t permissions = 0;  // the low nine bits
};

// Throws Error, naming the file: kNotFound when there is none; kInvalid when it cannot be opened or
// read, is not a regular file (a pipe does not hold it up) or is larger than bytes_max.
FileContent read_file(const std::filesystem::path& path, std::size_t bytes_max);

}  // namespace colloquy
