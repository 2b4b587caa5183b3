// Files as the system has them, for what must be durable: open(2) says how one is opened. Calls
// block for as long as the disk does.
#pragma once

#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

namespace colloquy {

// An open file descriptor that is closed at the end. Not thread-safe.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int number) : number_(number) {}
  ~FileDescriptor() { close(); }
  FileDescriptor(FileDescriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    if (this != &other) {
      close();
      number_ = std::exchange(other.number_, -1);
    }
    return *this;
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int number() const { return number_; }
  bool is_open() const { return number_ >= 0; }
  // Of the call that should have opened it, where that was one of a FileSystem; 0: it is open.
  int error() const { return number_ < 0 ? -number_ : 0; }

 private:
  void close();
  int number_ = -1;
};

// The whole text, however many writes it takes. What failed, or nothing.
[[nodiscard]] std::error_code write_all(const FileDescriptor& file, std::string_view text);

// After it a name that was made in the folder survives the loss of power. What failed, or nothing:
// some file systems cannot do it.
std::error_code sync_folder(const std::filesystem::path& folder);

}  // namespace colloquy
