#include "backup/folder_hold.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/error.h"

namespace colloquy::backup {

FolderHold::FolderHold(const std::string& folder, const std::string& refusal)
    : folder_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (!folder_.is_open()) return;
  while (::flock(folder_.number(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) throw unavailable(refusal, folder);
    if (errno != EINTR) return;
  }
}

bool FolderHold::is_of(const std::string& folder) const {
  struct stat held {};
  struct stat there {};
  return folder_.is_open() && ::fstat(folder_.number(), &held) == 0 &&
         ::stat(folder.c_str(), &there) == 0 && held.st_dev == there.st_dev &&
         held.st_ino == there.st_ino;
}

}  // namespace colloquy::backup
