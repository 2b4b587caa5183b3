#include "store/rocksdb/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/error.h"

namespace colloquy::store {

namespace {

std::string lock_path(const std::string& folder) { return folder + "/owner.lock"; }

int open_lock_file(const std::string& folder) {
  std::error_code made;
  std::filesystem::create_directory(folder, made);
  return ::open(lock_path(folder).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

Error lock_failure(const char* what, const std::string& folder, int error) {
  return unavailable(what, lock_path(folder) + ": " + std::strerror(error));
}

}  // namespace

FolderLock::FolderLock(const std::string& folder) : file_(open_lock_file(folder)) {
  if (!file_.is_open()) {
    throw lock_failure("The store's folder cannot be opened.", folder, errno);
  }
  if (::flock(file_.number(), LOCK_EX | LOCK_NB) == 0) return;
  if (errno == EWOULDBLOCK) {
    throw Error(ErrorCode::kInvalid, "Another process has the store open.", folder);
  }
  throw lock_failure("The store's folder cannot be locked.", folder, errno);
}

}  // namespace colloquy::store
