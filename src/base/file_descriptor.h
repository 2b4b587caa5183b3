// Files as the system has them, for what must be durable: open(2) says how one is opened. Calls
// block for as long as the disk does.
#pragma once

#include <filesystem>
#include <string_view>
#include <system_error>

namespace colloquy {

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

// The whole text, however many writes it takes. What failed, or nothing.
[[nodiscard]] std::error_code write_all(const FileDescriptor& file, std::string_view text);

// After it a name that was made in the folder survives the loss of power. What failed, or nothing:
// some file systems cannot do it.
std::error_code sync_folder(const std::filesystem::path& folder);

}  // namespace colloquy
