#include "auth/token_key.h"

#include <fcntl.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <optional>
#include <system_error>

#include "auth/base64url.h"
#include "auth/user_id.h"
#include "auth/verification_key.h"
#include "base/error.h"
#include "base/file_descriptor.h"
#include "base/limits.h"
#include "base/read_file.h"

namespace colloquy::auth {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kKeyFileBytesMax = 64 * limits::kKiB;
constexpr std::size_t kNewKeyBytes = 32;
constexpr std::size_t kTokenIdBytes = 16;

std::string random_text(std::size_t bytes) {
  std::string random(bytes, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(random.data()), static_cast<int>(bytes)) != 1) {
    throw internal_error("RAND_bytes failed");
  }
  return base64url_encode(random);
}

[[noreturn]] void refuse_creation(const fs::path& path, int error) {
  throw Error(ErrorCode::kInvalid, "The token key " + path.string() + " cannot be made: " +
                                       std::generic_category().message(error) + ".");
}

void check_length(std::string_view secret, const std::string& origin) {
  if (secret.size() >= kHmacKeyBytesMin) return;
  throw Error(ErrorCode::kInvalid,
              "The token key of " + origin + " is too short: at least 32 bytes are needed.");
}

TokenKey read_key_file(const fs::path& path, mode_t refused_permissions) {
  FileContent file = read_file(path, kKeyFileBytesMax);
  while (file.text.ends_with('\n') || file.text.ends_with('\r')) file.text.pop_back();
  TokenKey key{std::move(file.text), path.string(), {}};
  check_length(key.secret, key.origin);
  if ((file.permissions & refused_permissions) != 0) {
    throw Error(ErrorCode::kInvalid, "The token key " + key.origin +
                                         " can be read by everyone: make it mode 0600, or delete "
                                         "it to get a new one.");
  }
  if ((file.permissions & 0077U) != 0) {
    key.warning = "The token key " + key.origin + " can be read by others than its owner.";
  }
  return key;
}

// Gives the finished file its name, unless that is taken: true, or false if it is.
bool publish(const fs::path& temporary, const fs::path& path) {
  // A hard link, because rename would replace what another process has just made.
  if (::link(temporary.c_str(), path.c_str()) == 0) {
    ::unlink(temporary.c_str());
    return true;
  }
  if (errno == EEXIST) return false;
  // Not every file system has hard links.
  if (::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) == 0) {
    return true;
  }
  if (errno == EEXIST) return false;
  const int error = errno;
  ::unlink(temporary.c_str());
  refuse_creation(path, error);
}

void create_key_file(const fs::path& path) {
  const fs::path folder = path.parent_path();
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) refuse_creation(path, error.value());
  const fs::path temporary = path.string() + "." + random_text(9) + ".tmp";
  {
    const FileDescriptor file(
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file.is_open()) refuse_creation(path, errno);
    try {
      const auto failed = write_all(file, random_text(kNewKeyBytes) + "\n");
      if (failed) refuse_creation(path, failed.value());
      if (::fchmod(file.number(), 0600) != 0 || ::fsync(file.number()) != 0) {
        refuse_creation(path, errno);
      }
    } catch (...) {
      ::unlink(temporary.c_str());
      throw;
    }
  }
  if (!publish(temporary, path)) ::unlink(temporary.c_str());
  // Some file systems cannot sync a folder; the key is there all the same.
  sync_folder(folder);
}

TokenKey load_own_key(const TokenKeySource& source) {
  const fs::path path = (source.data_folder.empty() ? fs::path(".") : source.data_folder) /
                        std::string(kTokenKeyFileName);
  const bool make = source.create_if_missing && !fs::exists(path);
  if (make) create_key_file(path);
  auto key = read_key_file(path, 0007);
  key.made = make;
  return key;
}

}  // namespace

TokenKey load_token_key(const TokenKeySource& source) {
  if (!source.file.empty() && !source.value.empty()) {
    throw Error(ErrorCode::kInvalid,
                "A token key and a token key file are both given; one of them "
                "has to go.");
  }
  if (!source.file.empty()) return read_key_file(source.file, 0);
  if (!source.value.empty()) {
    check_length(source.value, "the environment");
    return {source.value, "the environment", {}};
  }
  return load_own_key(source);
}

std::string mint_token(std::string_view key, std::string_view user, std::int64_t ttl_s,
                       std::int64_t now_s, std::string_view issuer) {
  check_length(key, "the command");
  if (!is_user_id(user)) {
    throw invalid_field("user", "must be 1 to 256 bytes of UTF-8 without control characters");
  }
  if (ttl_s < 1 || ttl_s > kTokenTtlSecondsMax) {
    throw invalid_field("ttl", "must be between 1 second and 10 years");
  }
  const boost::json::object header{{"alg", "HS256"}, {"typ", "JWT"}};
  const auto text = [](std::string_view s) { return boost::json::string_view(s.data(), s.size()); };
  const boost::json::object claims{{"iss", text(issuer)},
                                   {"sub", text(user)},
                                   {"iat", now_s},
                                   {"exp", now_s + ttl_s},
                                   {"jti", random_text(kTokenIdBytes)}};
  std::string token = base64url_encode(boost::json::serialize(header)) + "." +
                      base64url_encode(boost::json::serialize(claims));
  const std::string signature = base64url_encode(hmac_sha256(key, token));
  return token + "." + signature;
}

}  // namespace colloquy::auth
