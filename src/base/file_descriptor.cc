#include "base/file_descriptor.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace colloquy {
namespace {

std::error_code last_error() { return {errno, std::generic_category()}; }

}  // namespace

void FileDescriptor::close() {
  if (is_open()) ::close(number_);
  number_ = -1;
}

std::error_code write_all(const FileDescriptor& file, std::string_view text) {
  while (!text.empty()) {
    const auto written = ::write(file.number(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return last_error();
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

std::error_code sync_folder(const std::filesystem::path& folder) {
  const FileDescriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!descriptor.is_open() || ::fsync(descriptor.number()) != 0) return last_error();
  return {};
}

}  // namespace colloquy
