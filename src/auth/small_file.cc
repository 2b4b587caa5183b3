#include "auth/small_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "base/error.h"

namespace colloquy::auth {
namespace {

[[noreturn]] void refuse(const std::filesystem::path& path, int error) {
  const auto code = error == ENOENT ? ErrorCode::kNotFound : ErrorCode::kInvalid;
  throw Error(code, "The file " + path.string() +
                        " cannot be read: " + std::generic_category().message(error) + ".");
}

}  // namespace

FileDescriptor::~FileDescriptor() {
  if (is_open()) ::close(number_);
}

SmallFile read_small_file(const std::filesystem::path& path, std::size_t bytes_max) {
  // Without O_NONBLOCK a named pipe would hold us up until someone writes to it.
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.is_open()) refuse(path, errno);
  struct stat status {};
  if (::fstat(file.number(), &status) != 0) refuse(path, errno);
  if (!S_ISREG(status.st_mode)) {
    throw Error(ErrorCode::kInvalid, path.string() + " is not a regular file.");
  }
  SmallFile result;
  result.permissions = status.st_mode & 0777U;
  result.content.resize(bytes_max + 1);
  std::size_t size = 0;
  while (size < result.content.size()) {
    const auto got =
        ::read(file.number(), result.content.data() + size, result.content.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) refuse(path, errno);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > bytes_max) throw Error(ErrorCode::kInvalid, path.string() + " is too large.");
  result.content.resize(size);
  return result;
}

}  // namespace colloquy::auth
