#include "store/dynamodb/aws/environment.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <utility>

#include "store/dynamodb/aws/credentials.h"

namespace colloquy::aws {
namespace {

std::optional<std::string> process_variable(const std::string& name) {
  const char* const value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

class OpenFile {
 public:
  // Without O_NONBLOCK a named pipe would hold us up until someone writes to it.
  explicit OpenFile(const std::string& path)
      : number_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~OpenFile() {
    if (number_ >= 0) ::close(number_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int number() const { return number_; }

 private:
  int number_;
};

[[noreturn]] void refuse(const std::string& path, const std::string& reason) {
  throw provider_failure("file " + path, reason);
}

std::optional<std::string> read_file(const std::string& path) {
  const OpenFile file(path);
  if (file.number() < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    refuse(path, std::generic_category().message(errno));
  }
  struct stat status {};
  if (::fstat(file.number(), &status) != 0) refuse(path, std::generic_category().message(errno));
  if (!S_ISREG(status.st_mode)) refuse(path, "is not a regular file");
  std::string content(kFileBytesMax + 1, '\0');
  std::size_t size = 0;
  while (size < content.size()) {
    const auto got = ::read(file.number(), content.data() + size, content.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) refuse(path, std::generic_category().message(errno));
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > kFileBytesMax) refuse(path, "is too large");
  content.resize(size);
  return content;
}

}  // namespace

Environment Environment::of_process() { return {process_variable, read_file}; }

std::optional<std::string> Environment::get(const std::string& name) const {
  auto value = variable(name);
  if (value && value->empty()) return std::nullopt;
  return value;
}

std::string Environment::token_file(const std::string& variable_name, const std::string& path,
                                    std::string_view provider) const {
  const auto refuse = [&](const std::string& reason) {
    return provider_failure(provider, "the file of " + variable_name + " " + reason);
  };
  std::optional<std::string> content;
  try {
    content = file(path);
  } catch (const Error& error) {
    throw refuse("cannot be read: " + error.detail());
  }
  if (!content) throw refuse("is not there");
  while (content->ends_with('\n') || content->ends_with('\r')) content->pop_back();
  if (content->empty()) throw refuse("is empty");
  return std::move(*content);
}

}  // namespace colloquy::aws
