// A file system for tests whose Nth call does not do what it should. Thread-safe.
#pragma once

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "base/file_system.h"

namespace colloquy {

class FailingFileSystem : public FileSystem {
 public:
  explicit FailingFileSystem(FileSystem& real) : real_(real) {}

  // The call number `call` from now on, counted from 1, gives `error`; 0: none does. A call that
  // changes something has changed it with `after`, as where an answer over a network is lost.
  void fail_at(std::uint64_t call, int error, bool after = false) {
    calls_ = 0;
    error_ = error;
    after_ = after;
    fail_at_ = call;
  }
  // The process ends there, as by a power switch.
  void die_at(std::uint64_t call, bool after) {
    fail_at(call, 0, after);
    dies_ = true;
  }
  std::uint64_t calls() const { return calls_; }

  int open(int folder, const std::string& path, int flags, unsigned mode) override {
    return call([&] { return real_.open(folder, path, flags, mode); }, true);
  }
  int make_folder(int folder, const std::string& name, unsigned mode) override {
    return call([&] { return real_.make_folder(folder, name, mode); });
  }
  int remove(int folder, const std::string& name) override {
    return call([&] { return real_.remove(folder, name); });
  }
  int remove_folder(int folder, const std::string& name) override {
    return call([&] { return real_.remove_folder(folder, name); });
  }
  int stat_name(int folder, const std::string& name, struct stat& found) override {
    return call([&] { return real_.stat_name(folder, name, found); });
  }
  int rename(int from, const std::string& old_name, int to, const std::string& name) override {
    return call([&] { return real_.rename(from, old_name, to, name); });
  }
  int rename_to_free_name(int from, const std::string& old_name, int to,
                          const std::string& name) override {
    return call([&] { return real_.rename_to_free_name(from, old_name, to, name); });
  }
  int stat(int file, struct stat& found) override {
    return call([&] { return real_.stat(file, found); });
  }
  int set_modified(int file) override {
    return call([&] { return real_.set_modified(file); });
  }
  ssize_t read(int file, char* room, std::size_t bytes, std::uint64_t offset) override {
    return call([&] { return real_.read(file, room, bytes, offset); });
  }
  ssize_t write(int file, std::string_view bytes, std::uint64_t offset) override {
    // In small steps, so that a file has many.
    return call([&] { return real_.write(file, bytes.substr(0, kWriteBytes), offset); });
  }
  int begin_writing_out(int file, std::uint64_t offset, std::uint64_t bytes) override {
    return call([&] { return real_.begin_writing_out(file, offset, bytes); });
  }
  int sync(int file) override {
    return call([&] { return real_.sync(file); });
  }
  int lock(int file) override {
    return call([&] { return real_.lock(file); });
  }
  int wait_for_lock(int file) override {
    return call([&] { return real_.wait_for_lock(file); });
  }
  int free_space(int file, FreeSpace& free) override {
    return call([&] { return real_.free_space(file, free); });
  }
  int read_folder(int folder,
                  const std::function<bool(const char*, unsigned char)>& take) override {
    return call([&] { return real_.read_folder(folder, take); });
  }

 private:
  static constexpr std::size_t kWriteBytes = 4000;

  template <class Call>
  auto call(Call real, bool opens = false) -> decltype(real()) {
    if (++calls_ != fail_at_) return real();
    if (after_) {
      const auto result = real();
      if (opens && result >= 0) ::close(static_cast<int>(result));
    }
    if (dies_) ::kill(::getpid(), SIGKILL);
    return -error_;
  }

  FileSystem& real_;
  std::atomic<std::uint64_t> calls_{0};
  std::atomic<std::uint64_t> fail_at_{0};
  std::atomic<int> error_{0};
  std::atomic<bool> after_{false};
  std::atomic<bool> dies_{false};
};

}  // namespace colloquy
