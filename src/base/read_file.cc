#include "base/read_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "base/error.h"
#include "base/file_descriptor.h"

namespace colloquy {
namespace {

Error unreadable(const std::filesystem::path& path, const std::string& reason,
                 ErrorCode code = ErrorCode::kInvalid) {
  return {code, "The file " + path.string() + " cannot be read: " + reason + "."};
}

Error unreadable(const std::filesystem::path& path, int error) {
  const bool absent = error == ENOENT || error == ENOTDIR;
  return unreadable(path, std::generic_category().message(error),
                    absent ? ErrorCode::kNotFound : ErrorCode::kInvalid);
}

}  // namespace

FileContent read_file(const std::filesystem::path& path, std::size_t bytes_max) {
  // Without O_NONBLOCK a named pipe would hold us up until someone writes to it.
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.is_open()) throw unreadable(path, errno);
  struct stat status {};
  if (::fstat(file.number(), &status) != 0) throw unreadable(path, errno);
  if (!S_ISREG(status.st_mode)) throw unreadable(path, "it is not a regular file");
  FileContent result;
  result.permissions = status.st_mode & 0777U;
  result.text.resize(bytes_max + 1);
  std::size_t size = 0;
  while (size < result.text.size()) {
    const auto got = ::read(file.number(), result.text.data() + size, result.text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw unreadable(path, errno);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > bytes_max) throw unreadable(path, "it is too large");
  result.text.resize(size);
  return result;
}

}  // namespace colloquy
