#include "keyring/folder_key_storage.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <mutex>
#include <system_error>

#include "base/base64.h"
#include "base/error.h"
#include "base/file_descriptor.h"
#include "base/limits.h"
#include "base/parse_number.h"
#include "base/read_file.h"
#include "base/text.h"
#include "keyring/data_key.h"

namespace colloquy::keyring {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kRecordHead = "colloquy key 1";
constexpr std::string_view kKeyringHead = "colloquy keyring 1";
constexpr const char* kEnding = ".key";
constexpr std::size_t kFileBytesMax = 64 * limits::kKiB;
constexpr std::size_t kNameBytes = 64;

std::error_code last_error() { return {errno, std::generic_category()}; }

Error failed(const fs::path& path, const std::error_code& error) {
  return unavailable("The keys cannot be reached right now.",
                     path.string() + ": " + error.message());
}
void check(const fs::path& path, const std::error_code& error) {
  if (error) throw failed(path, error);
}
Error damaged(const fs::path& path) {
  return internal_error("the keyring is damaged: " + path.string());
}

// Of all processes and threads that change the folder, one at a time.
class Lock {
 public:
  explicit Lock(const fs::path& folder)
      : file_(::open((folder / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    if (!file_.is_open()) throw failed(folder / "lock", last_error());
    while (flock(file_.number(), LOCK_EX) != 0) {
      if (errno != EINTR) throw failed(folder / "lock", last_error());
    }
  }

 private:
  FileDescriptor file_;
};

void write_durably(const fs::path& path, std::string_view text) {
  auto draft = path;
  draft += ".new";
  {
    FileDescriptor file(::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!file.is_open()) throw failed(draft, last_error());
    check(draft, write_all(file, text));
    if (fsync(file.number()) != 0) throw failed(draft, last_error());
  }
  if (std::rename(draft.c_str(), path.c_str()) != 0) throw failed(path, last_error());
  check(path, sync_folder(path.parent_path()));
}

void make_folder(const fs::path& folder) {
  if (mkdir(folder.c_str(), 0700) != 0) {
    if (errno == EEXIST) return;
    throw failed(folder, last_error());
  }
  check(folder, sync_folder(folder.parent_path()));
}

std::optional<std::string> read_if_there(const fs::path& path) {
  try {
    return read_file(path, kFileBytesMax).text;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kNotFound) return std::nullopt;
    throw unavailable("The keys cannot be reached right now.", error.message());
  }
}

// A line that begins with `name` and a space, taken off the front; what follows them.
std::optional<std::string> take_line(std::string_view& text, std::string_view name) {
  auto end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  auto line = text.substr(0, end);
  text.remove_prefix(end + 1);
  if (!line.starts_with(name) || line.size() <= name.size() || line[name.size()] != ' ') {
    return std::nullopt;
  }
  return std::string(line.substr(name.size() + 1));
}

std::string encoded(const KeyRecord& record) {
  std::string text(kRecordHead);
  text += "\nid " + to_hex(record.key_id) + "\nmade " + std::to_string(record.made_at_s);
  text += "\nmaster " + record.wrapped.master + "\nwrapped " + base64_encode(record.wrapped.bytes);
  return text + "\n";
}

KeyRecord decoded(const fs::path& path, std::string_view text) {
  if (!text.starts_with(kRecordHead)) throw damaged(path);
  text.remove_prefix(std::min(kRecordHead.size() + 1, text.size()));
  KeyRecord record;
  auto id = take_line(text, "id");
  auto made = take_line(text, "made");
  auto master = take_line(text, "master");
  auto wrapped = take_line(text, "wrapped");
  if (!id || !made || !master || !wrapped) throw damaged(path);
  auto id_bytes = from_hex(*id);
  auto bytes = base64_decode(*wrapped);
  auto made_at_s = parse_number<std::int64_t>(*made);
  if (!id_bytes || id_bytes->size() != kKeyIdBytes || !bytes || !made_at_s) throw damaged(path);
  record.made_at_s = *made_at_s;
  record.key_id = std::move(*id_bytes);
  record.wrapped = {std::move(*master), std::move(*bytes)};
  return record;
}

fs::path path_of(const fs::path& folder, const std::string& name) {
  if (name.size() != kNameBytes || !from_hex(name)) throw internal_error("no name of a key");
  return folder / name.substr(0, 2) / (name + kEnding);
}

std::optional<KeyRecord> read_record(const fs::path& path) {
  auto text = read_if_there(path);
  if (!text) return std::nullopt;
  return decoded(path, *text);
}

bool is_another(const fs::path& path, const std::string& key_id) {
  try {
    auto there = read_record(path);
    return there && there->key_id != key_id;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInternal) throw;
    return false;
  }
}

std::string read_id(const fs::path& folder) {
  auto path = folder / "keyring";
  auto text = read_if_there(path);
  if (!text) return {};
  std::string_view rest(*text);
  if (!rest.starts_with(kKeyringHead)) throw damaged(path);
  rest.remove_prefix(std::min(kKeyringHead.size() + 1, rest.size()));
  auto id = take_line(rest, "id");
  if (!id || id->size() != make_keyring_id().size()) throw damaged(path);
  return *id;
}

std::string make_id(const fs::path& folder) {
  Lock lock(folder);
  auto id = read_id(folder);
  if (!id.empty()) return id;
  id = make_keyring_id();
  write_durably(folder / "keyring", std::string(kKeyringHead) + "\nid " + id + "\n");
  return id;
}

// The keys of one of the 256 folders.
KeyPage read_part(const fs::path& folder, const std::string& part) {
  KeyPage page;
  std::error_code error;
  fs::directory_iterator at(folder / part, error);
  if (error == std::errc::no_such_file_or_directory) return page;
  check(folder / part, error);
  for (; at != fs::directory_iterator(); at.increment(error)) {
    check(folder / part, error);
    const auto& path = at->path();
    auto name = path.stem().string();
    if (path.extension() != kEnding || name.size() != kNameBytes || !from_hex(name)) continue;
    try {
      auto record = read_record(path);
      if (record) page.records.emplace_back(name, std::move(*record));
    } catch (const Error& failure) {
      page.damaged.push_back(failure.detail());
    }
  }
  check(folder / part, error);
  return page;
}

}  // namespace

// Which keyring it is, once that was asked for.
class FolderKeyStorage::Identity {
 public:
  void set(const std::string& id) {
    std::scoped_lock lock(mutex_);
    id_ = id;
  }
  // Throws kUnavailable where it is not there now.
  void require(const fs::path& folder) const {
    auto there = read_id(folder);
    std::scoped_lock lock(mutex_);
    if (id_.empty() || there == id_) return;
    throw unavailable(
        "The keys cannot be reached right now.",
        folder.string() + " is not the keyring " + id_ + " any more: a volume that was unmounted?");
  }

 private:
  mutable std::mutex mutex_;
  std::string id_;  // guarded by mutex_; empty: not known yet
};

FolderKeyStorage::FolderKeyStorage(const fs::path& folder)
    : folder_(fs::absolute(folder)), identity_(std::make_shared<Identity>()) {
  std::error_code error;
  fs::create_directories(folder_.parent_path(), error);
  if (mkdir(folder_.c_str(), 0700) != 0 && errno != EEXIST) error = last_error();
  if (!error && !fs::is_directory(folder_, error)) {
    error = std::make_error_code(std::errc::not_a_directory);
  }
  if (error) {
    throw Error(ErrorCode::kInvalid, "The keyring cannot be opened: " + error.message() + ".");
  }
}

bool FolderKeyStorage::is_open_to_all() const {
  struct stat found {};
  return ::stat(folder_.c_str(), &found) == 0 && (found.st_mode & 0007U) != 0;
}

Task<std::string> FolderKeyStorage::id(bool make) {
  auto job = [folder = folder_, identity = identity_, make] {
    auto id = make ? make_id(folder) : read_id(folder);
    identity->set(id);
    return id;
  };
  co_return co_await threads_.run(std::move(job));
}

Task<std::optional<KeyRecord>> FolderKeyStorage::find(std::string name) {
  auto job = [folder = folder_, identity = identity_, path = path_of(folder_, name)] {
    auto record = read_record(path);
    if (record) return record;
    identity->require(folder);
    return read_record(path);  // the volume may have come back between the two
  };
  co_return co_await threads_.run(std::move(job));
}

Task<bool> FolderKeyStorage::put_new(std::string name, KeyRecord record) {
  auto job = [folder = folder_, identity = identity_, path = path_of(folder_, name),
              record = std::move(record)] {
    Lock lock(folder);
    identity->require(folder);
    std::error_code error;
    if (fs::exists(path, error)) return false;
    check(path, error);
    make_folder(path.parent_path());
    write_durably(path, encoded(record));
    return true;
  };
  co_return co_await threads_.run(std::move(job));
}

Task<bool> FolderKeyStorage::replace(std::string name, KeyRecord before, KeyRecord after) {
  auto job = [folder = folder_, identity = identity_, path = path_of(folder_, name),
              before = std::move(before), after = std::move(after)] {
    Lock lock(folder);
    identity->require(folder);
    auto there = read_record(path);
    if (!there || !(*there == before)) return false;
    write_durably(path, encoded(after));
    return true;
  };
  co_return co_await threads_.run(std::move(job));
}

Task<bool> FolderKeyStorage::erase(std::string name, std::string key_id) {
  auto job = [folder = folder_, identity = identity_, path = path_of(folder_, name),
              key_id = std::move(key_id)] {
    Lock lock(folder);
    identity->require(folder);
    if (!key_id.empty() && is_another(path, key_id)) return false;
    auto draft = path;
    draft += ".new";  // of a process that died
    if (unlink(draft.c_str()) != 0 && errno != ENOENT) throw failed(draft, last_error());
    bool there = unlink(path.c_str()) == 0;
    if (!there && errno != ENOENT) throw failed(path, last_error());
    if (there) check(path, sync_folder(path.parent_path()));
    return there;
  };
  co_return co_await threads_.run(std::move(job));
}

Task<KeyPage> FolderKeyStorage::list(std::string position) {
  auto job = [folder = folder_, identity = identity_, position = std::move(position)] {
    auto number = position.empty() ? std::string(1, '\0') : from_hex(position).value();
    auto page = read_part(folder, to_hex(number));
    identity->require(folder);
    auto next = static_cast<unsigned char>(number.at(0));
    if (next != 0xff) page.next = to_hex(std::string(1, static_cast<char>(next + 1)));
    return page;
  };
  co_return co_await threads_.run(std::move(job));
}

}  // namespace colloquy::keyring
