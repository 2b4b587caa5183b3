#include "store/rocksdb/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/error.h"

namespace colloquy::store {

FolderLock::FolderLock(const std::string& folder) {
  std::error_code made;
  std::filesystem::create_directory(folder, made);
  auto path = folder + "/owner.lock";
  descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor_ < 0) {
    throw unavailable("The store's folder cannot be opened.", path + ": " + std::strerror(errno));
  }
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return;
  auto error = errno;
  ::close(descriptor_);
  if (error == EWOULDBLOCK) {
    throw Error(ErrorCode::kInvalid, "Another process has the store open.", folder);
  }
  throw unavailable("The store's folder cannot be locked.", path + ": " + std::strerror(error));
}

FolderLock::~FolderLock() { ::close(descriptor_); }

}  // namespace colloquy::store
