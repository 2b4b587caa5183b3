// The system calls that users' files and keys are kept with, as an interface, so that tests can
// make each of them fail. Calls block; any thread. What names a file is a folder's descriptor and a
// path that cannot leave the folder, by whatever ".." or symbolic link another program puts there.
//
// Each call returns what the system's does, or a negative errno; EINTR is repeated.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace colloquy {

// For who is not root.
struct FreeSpace {
  std::uint64_t bytes = 0;
  std::uint64_t files = 0;
  std::uint64_t files_in_all = 0;  // 0: they are not numbered
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  // openat2(2) with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS. `flags` of open(2); O_CLOEXEC is
  // added.
  virtual int open(int folder, const std::string& path, int flags, unsigned mode) = 0;
  // The rest take one name, not a path, and follow no link.
  virtual int make_folder(int folder, const std::string& name, unsigned mode) = 0;
  virtual int remove(int folder, const std::string& name) = 0;
  virtual int remove_folder(int folder, const std::string& name) = 0;
  virtual int stat_name(int folder, const std::string& name, struct stat& found) = 0;
  // Replaces what has the name.
  virtual int rename(int from, const std::string& old_name, int to,
                     const std::string& new_name) = 0;
  // EEXIST where something has the name, whoever else is making it at the same time; where the file
  // system has neither such a rename nor hard links, as long as that is no other process.
  virtual int rename_to_free_name(int from, const std::string& old_name, int to,
                                  const std::string& new_name) = 0;

  virtual int stat(int file, struct stat& found) = 0;
  // Now, to the nanosecond and never twice the same, as the time of the last change.
  virtual int set_modified(int file) = 0;
  virtual ssize_t read(int file, char* room, std::size_t bytes, std::uint64_t offset) = 0;
  virtual ssize_t write(int file, std::string_view bytes, std::uint64_t offset) = 0;
  // Begins to write what is still in memory only, and does not wait for it to be there.
  virtual int begin_writing_out(int file, std::uint64_t offset, std::uint64_t bytes) = 0;
  virtual int sync(int file) = 0;
  virtual int lock(int file) = 0;  // flock(2), exclusive; EWOULDBLOCK where another has it
  virtual int wait_for_lock(int file) = 0;
  virtual int free_space(int file, FreeSpace& free) = 0;
  // Each name but "." and "..", with its d_type, until `take` says false.
  virtual int read_folder(
      int folder, const std::function<bool(const char* name, unsigned char type)>& take) = 0;
};

// The kernel's. Throws Error(kInvalid) where it has no openat2 (Linux 5.6) or forbids it.
FileSystem& linux_file_system();

}  // namespace colloquy
