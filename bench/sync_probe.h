// One durable write as the disk sees it: 4 KiB appended to a file, then fdatasync.
//
// Not thread-safe.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "percentiles.h"

namespace colloquy::bench {

class SyncProbe {
 public:
  // Throws std::system_error when the file cannot be made in `folder`.
  explicit SyncProbe(const std::string& folder) : path_(folder + "/sync-probe") {
    file_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (file_ < 0) throw_errno();
  }
  ~SyncProbe() {
    ::close(file_);
    ::unlink(path_.c_str());
  }
  SyncProbe(const SyncProbe&) = delete;
  SyncProbe& operator=(const SyncProbe&) = delete;

  // How long one took. Throws std::system_error.
  SteadyClock::duration sync() {
    static constexpr std::array<char, 4096> kBlock{};
    auto start = SteadyClock::now();
    if (::write(file_, kBlock.data(), kBlock.size()) != static_cast<ssize_t>(kBlock.size()) ||
        ::fdatasync(file_) != 0) {
      throw_errno();
    }
    return SteadyClock::now() - start;
  }

 private:
  [[noreturn]] void throw_errno() const {
    throw std::system_error(errno, std::generic_category(), path_);
  }

  std::string path_;
  int file_ = -1;
};

}  // namespace colloquy::bench
