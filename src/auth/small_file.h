// Reads a key's file whole. Blocks: never call it on an event loop.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <string>

namespace colloquy::auth {

struct SmallFile {
  std::string content;
  mode_t permissions = 0;  // the low nine bits
};

// Throws Error kInvalid when the file cannot be opened or read, is not a regular file or is larger
// than bytes_max; kNotFound when there is none.
SmallFile read_small_file(const std::filesystem::path& path, std::size_t bytes_max);

// An open file descriptor that is closed at the end. Not thread-safe.
class FileDescriptor {
 public:
  explicit FileDescriptor(int number) : number_(number) {}
  ~FileDescriptor();
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int number() const { return number_; }
  bool is_open() const { return number_ >= 0; }

 private:
  int number_;
};

}  // namespace colloquy::auth
