#include "base/file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "base/error.h"

namespace colloquy {
namespace {

constexpr std::uint64_t kNanoseconds = 1'000'000'000;

template <class Call>
auto repeated(Call call) -> decltype(call()) {
  for (;;) {
    auto result = call();
    if (result >= 0) return result;
    if (errno != EINTR) return -errno;
  }
}

int open_beneath(int folder, const std::string& path, int flags, unsigned mode) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.mode = (flags & O_CREAT) != 0 ? mode : 0;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  return static_cast<int>(syscall(SYS_openat2, folder, path.c_str(), &how, sizeof how));
}

class LinuxFileSystem final : public FileSystem {
 public:
  int open(int folder, const std::string& path, int flags, unsigned mode) override {
    // The kernel gives up with EAGAIN where folders are moved about while it looks.
    for (int attempt = 0;; ++attempt) {
      const int result = repeated([&] { return open_beneath(folder, path, flags, mode); });
      if (result != -EAGAIN || attempt == kAttempts) return result;
    }
  }
  int make_folder(int folder, const std::string& name, unsigned mode) override {
    return repeated([&] { return ::mkdirat(folder, name.c_str(), mode); });
  }
  int remove(int folder, const std::string& name) override {
    return repeated([&] { return ::unlinkat(folder, name.c_str(), 0); });
  }
  int remove_folder(int folder, const std::string& name) override {
    return repeated([&] { return ::unlinkat(folder, name.c_str(), AT_REMOVEDIR); });
  }
  int stat_name(int folder, const std::string& name, struct stat& found) override {
    return repeated([&] { return ::fstatat(folder, name.c_str(), &found, AT_SYMLINK_NOFOLLOW); });
  }
  int rename(int from, const std::string& old_name, int to, const std::string& new_name) override {
    return repeated([&] { return ::renameat(from, old_name.c_str(), to, new_name.c_str()); });
  }
  int rename_to_free_name(int from, const std::string& old_name, int to,
                          const std::string& new_name) override {
    const int result = repeated([&] {
      return ::renameat2(from, old_name.c_str(), to, new_name.c_str(), RENAME_NOREPLACE);
    });
    if (result != -EINVAL && result != -ENOSYS) return result;
    // NFS has no such rename, but a link is as good.
    const int linked =
        repeated([&] { return ::linkat(from, old_name.c_str(), to, new_name.c_str(), 0); });
    if (linked >= 0) return remove(from, old_name);
    if (linked != -EPERM && linked != -EOPNOTSUPP && linked != -ENOSYS) return linked;
    struct stat found {};
    const int there = stat_name(to, new_name, found);
    if (there >= 0) return -EEXIST;
    return there == -ENOENT ? rename(from, old_name, to, new_name) : there;
  }

  int stat(int file, struct stat& found) override {
    return repeated([&] { return ::fstat(file, &found); });
  }
  int set_modified(int file) override {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    auto time = static_cast<std::uint64_t>(now.tv_sec) * kNanoseconds +
                static_cast<std::uint64_t>(now.tv_nsec);
    auto last = last_modified_.load();
    do {
      time = std::max(time, last + 1);
    } while (!last_modified_.compare_exchange_weak(last, time));
    const timespec at{static_cast<time_t>(time / kNanoseconds),
                      static_cast<long>(time % kNanoseconds)};
    const timespec times[2] = {at, at};
    return repeated([&] { return ::futimens(file, times); });
  }
  ssize_t read(int file, char* room, std::size_t bytes, std::uint64_t offset) override {
    return repeated([&] { return ::pread(file, room, bytes, static_cast<off_t>(offset)); });
  }
  ssize_t write(int file, std::string_view bytes, std::uint64_t offset) override {
    return repeated(
        [&] { return ::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
  }
  int begin_writing_out(int file, std::uint64_t offset, std::uint64_t bytes) override {
    return repeated([&] {
      return ::sync_file_range(file, static_cast<off64_t>(offset), static_cast<off64_t>(bytes),
                               SYNC_FILE_RANGE_WRITE);
    });
  }
  int sync(int file) override {
    return repeated([&] { return ::fsync(file); });
  }
  int lock(int file) override {
    return repeated([&] { return ::flock(file, LOCK_EX | LOCK_NB); });
  }
  int wait_for_lock(int file) override {
    return repeated([&] { return ::flock(file, LOCK_EX); });
  }
  int free_space(int file, FreeSpace& free) override {
    struct statvfs found {};
    const int result = repeated([&] { return ::fstatvfs(file, &found); });
    free = {static_cast<std::uint64_t>(found.f_bavail) * found.f_frsize, found.f_favail,
            found.f_files};
    return result;
  }

  int read_folder(int folder,
                  const std::function<bool(const char*, unsigned char)>& take) override {
    // A descriptor of its own: the position is the open file's, not the descriptor's.
    const int again = open(folder, ".", O_RDONLY | O_DIRECTORY, 0);
    if (again < 0) return again;
    const auto close_folder = [](DIR* stream) { ::closedir(stream); };
    std::unique_ptr<DIR, decltype(close_folder)> stream(::fdopendir(again), close_folder);
    if (!stream) {
      const int error = errno;
      ::close(again);
      return -error;
    }
    for (;;) {
      errno = 0;
      // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody else has this stream
      const dirent* entry = ::readdir(stream.get());
      if (entry == nullptr) return -errno;
      const char* name = entry->d_name;
      if (std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0) continue;
      if (!take(name, entry->d_type)) return 0;
    }
  }

 private:
  static constexpr int kAttempts = 16;
  std::atomic<std::uint64_t> last_modified_{0};
};

void require_openat2() {
  const int result = open_beneath(AT_FDCWD, ".", O_PATH | O_DIRECTORY, 0);
  if (result >= 0) {
    ::close(result);
    return;
  }
  if (errno != ENOSYS && errno != EPERM && errno != EINVAL) return;
  throw Error(ErrorCode::kInvalid,
              std::string("needs openat2, which this kernel has not (Linux 5.6 has it) or this "
                          "sandbox forbids: ") +
                  std::strerror(errno));
}

}  // namespace

FileSystem& linux_file_system() {
  require_openat2();
  static LinuxFileSystem system;
  return system;
}

}  // namespace colloquy
