#include "keyring/key_folder.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "keyring/key_file.h"

namespace colloquy::keyring {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kEnding = ".key";
constexpr const char* kDraftEnding = ".new";
constexpr const char* kIdFile = "keyring";
constexpr std::size_t kFileBytesMax = 64 * limits::kKiB;
constexpr std::size_t kNameBytes = 64;
constexpr std::size_t kPartBytes = 2;
constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY;
constexpr unsigned kFolderMode = 0700;
constexpr unsigned kFileMode = 0600;
constexpr std::size_t kSyncedMost = 100'000;

Error failed(const fs::path& path, const std::string& reason) {
  return unavailable("The keys cannot be reached right now.", path.string() + ": " + reason);
}

// `result`: of a call of the file system.
void check(const fs::path& path, ssize_t result) {
  if (result < 0) throw failed(path, std::generic_category().message(static_cast<int>(-result)));
}

Error damaged(const fs::path& path) {
  return internal_error("the keyring is damaged: " + path.string());
}

std::string file_of(const std::string& name) {
  if (name.size() != kNameBytes || !from_hex(name)) throw internal_error("no name of a key");
  return name + std::string(kEnding);
}

// nullopt for what is no file of a key.
std::optional<std::string> name_of_key(std::string_view file) {
  if (!file.ends_with(kEnding)) return std::nullopt;
  std::string name(file.substr(0, file.size() - kEnding.size()));
  if (name.size() != kNameBytes || !from_hex(name)) return std::nullopt;
  return name;
}

// The loss of power must not take the folder itself from a keyring that has answered. Who made it
// may have failed before it was synced, so that those above are synced at every start. Some need
// not be readable, such as above a mount point, and some file systems cannot do it.
int sync_above(FileSystem& system, const fs::path& folder) {
  for (fs::path at = folder; at != at.parent_path();) {
    at = at.parent_path();
    const FileDescriptor above(::open(at.c_str(), kFolderFlags | O_CLOEXEC));
    const int result = above.is_open() ? system.sync(above.number()) : 0;
    if (result < 0 && result != -EINVAL) return result;
  }
  return 0;
}

int make_root(FileSystem& system, const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder.parent_path(), error);
  if (error) return -error.value();
  const FileDescriptor above(
      ::open(folder.parent_path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!above.is_open()) return -errno;
  const int made = system.make_folder(above.number(), folder.filename(), kFolderMode);
  if (made < 0 && made != -EEXIST) return made;
  const FileDescriptor opened(::open(folder.c_str(), kFolderFlags | O_CLOEXEC));
  if (!opened.is_open()) return -errno;
  return sync_above(system, folder);
}

fs::path without_last_slash(const fs::path& folder) {
  auto path = fs::absolute(folder);
  return path.has_filename() ? path : path.parent_path();
}

}  // namespace

KeyFolder::KeyFolder(FileSystem& system, const fs::path& folder)
    : system_(system), path_(without_last_slash(folder)) {
  const int made = make_root(system, path_);
  if (made < 0) {
    throw Error(ErrorCode::kInvalid,
                "The keyring cannot be opened: " + std::generic_category().message(-made) + ".");
  }
}

std::string KeyFolder::id(bool make) {
  const auto root = open_root();
  std::string id;
  if (make) {
    const auto lock = lock_of(root);
    id = read_id(root);
    if (id.empty()) {
      id = make_keyring_id();
      write({root, path_}, kIdFile, encode_keyring(id));
    }
  } else {
    id = read_id(root);
  }
  if (!id.empty()) sync({root, path_});
  const std::scoped_lock lock(mutex_);
  id_ = id;
  return id;
}

std::optional<KeyRecord> KeyFolder::find(const std::string& name) {
  auto record = find_once(name);
  if (record) return record;
  require_identity(open_root());
  return find_once(name);  // the volume may have come back between the two
}

bool KeyFolder::put_new(const std::string& name, const KeyRecord& record) {
  const auto root = open_root();
  const auto lock = lock_of(root);
  require_identity(root);
  const auto part = make_part(root, name);
  struct stat found {};
  const int there = system_.stat_name(part.number(), file_of(name), found);
  if (there != -ENOENT) check(path_of(name), there);
  if (there < 0) write({part, part_path(name)}, file_of(name), encode_key(record));
  sync_part(root, part, name);
  if (there < 0) note_synced(record.key_id);
  return there < 0;
}

bool KeyFolder::replace(const std::string& name, const KeyRecord& before, const KeyRecord& after) {
  const auto root = open_root();
  const auto lock = lock_of(root);
  require_identity(root);
  const auto part = open_part(root, name);
  if (!part.is_open()) return false;
  const auto there = read_key(part, name);
  const bool as_expected = there && *there == before;
  if (as_expected) write({part, part_path(name)}, file_of(name), encode_key(after));
  sync_part(root, part, name);
  return as_expected;
}

bool KeyFolder::erase(const std::string& name, const std::string& key_id) {
  const auto root = open_root();
  const auto lock = lock_of(root);
  require_identity(root);
  const auto part = open_part(root, name);
  if (!part.is_open()) return false;  // parts are never removed
  bool was_there = false;
  if (key_id.empty() || !is_another(part, name, key_id)) {
    remove(part, name, file_of(name) + kDraftEnding);  // of a process that died
    was_there = remove(part, name, file_of(name));
  }
  sync({part, part_path(name)});
  return was_there;
}

KeyPage KeyFolder::list(const std::string& part_name) {
  KeyPage page;
  const auto root = open_root();
  const auto part = open_part(root, part_name);
  if (part.is_open()) read_part(root, part, part_name, page);
  require_identity(root);
  return page;
}

fs::path KeyFolder::part_path(const std::string& name) const {
  return path_ / name.substr(0, kPartBytes);
}

fs::path KeyFolder::path_of(const std::string& name) const {
  return part_path(name) / file_of(name);
}

FileDescriptor KeyFolder::open_root() const {
  // Where the operator's folder is, links and all, is the operator's affair.
  FileDescriptor root(::open(path_.c_str(), kFolderFlags | O_CLOEXEC));
  if (!root.is_open()) check(path_, -errno);
  return root;
}

FileDescriptor KeyFolder::open_part(const FileDescriptor& root, const std::string& name) const {
  FileDescriptor part(system_.open(root.number(), name.substr(0, kPartBytes), kFolderFlags, 0));
  if (part.error() != ENOENT) check(part_path(name), part.is_open() ? 0 : -part.error());
  return part;
}

FileDescriptor KeyFolder::make_part(const FileDescriptor& root, const std::string& name) const {
  const int made = system_.make_folder(root.number(), name.substr(0, kPartBytes), kFolderMode);
  if (made != -EEXIST) check(part_path(name), made);
  auto part = open_part(root, name);
  check(part_path(name), part.is_open() ? 0 : -part.error());
  return part;
}

FileDescriptor KeyFolder::lock_of(const FileDescriptor& root) const {
  FileDescriptor file(system_.open(root.number(), "lock", O_RDWR | O_CREAT, kFileMode));
  check(path_ / "lock", file.is_open() ? 0 : -file.error());
  check(path_ / "lock", system_.wait_for_lock(file.number()));
  return file;
}

std::optional<std::string> KeyFolder::read(const Place& place, const std::string& name) const {
  const auto path = place.path / name;
  // Without O_NONBLOCK a named pipe would hold us up until someone writes to it.
  const FileDescriptor file(
      system_.open(place.folder.number(), name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0));
  if (file.error() == ENOENT) return std::nullopt;
  check(path, file.is_open() ? 0 : -file.error());
  struct stat found {};
  check(path, system_.stat(file.number(), found));
  if (!S_ISREG(found.st_mode)) throw failed(path, "it is not a regular file");
  std::string text(kFileBytesMax + 1, '\0');
  std::size_t filled = 0;
  while (filled < text.size()) {
    const auto got =
        system_.read(file.number(), text.data() + filled, text.size() - filled, filled);
    check(path, got);
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  if (filled > kFileBytesMax) throw failed(path, "it is too large");
  text.resize(filled);
  return text;
}

void KeyFolder::write(const Place& place, const std::string& name, std::string_view text) const {
  const int folder = place.folder.number();
  const auto draft = name + kDraftEnding;
  const auto path = place.path / draft;
  {
    const FileDescriptor file(system_.open(folder, draft, O_WRONLY | O_CREAT | O_TRUNC, kFileMode));
    check(path, file.is_open() ? 0 : -file.error());
    for (std::size_t done = 0; done < text.size();) {
      const auto written = system_.write(file.number(), text.substr(done), done);
      check(path, written);
      done += static_cast<std::size_t>(written);
    }
    check(path, system_.sync(file.number()));
  }
  check(place.path / name, system_.rename(folder, draft, folder, name));
}

bool KeyFolder::remove(const FileDescriptor& part, const std::string& name,
                       const std::string& file) const {
  const int removed = system_.remove(part.number(), file);
  if (removed != -ENOENT) check(part_path(name) / file, removed);
  return removed >= 0;
}

void KeyFolder::sync(const Place& place) const {
  check(place.path, system_.sync(place.folder.number()));
}

void KeyFolder::sync_part(const FileDescriptor& root, const FileDescriptor& part,
                          const std::string& name) const {
  sync({part, part_path(name)});
  sync({root, path_});
}

std::string KeyFolder::read_id(const FileDescriptor& root) const {
  const auto text = read({root, path_}, kIdFile);
  if (!text) return {};
  auto id = decode_keyring(*text);
  if (!id) throw damaged(path_ / kIdFile);
  return *id;
}

void KeyFolder::require_identity(const FileDescriptor& root) const {
  const auto there = read_id(root);
  const std::scoped_lock lock(mutex_);
  if (id_.empty() || there == id_) return;
  throw failed(path_, "it is not the keyring " + id_ + " any more: a volume that was unmounted?");
}

std::optional<KeyRecord> KeyFolder::read_key(const FileDescriptor& part,
                                             const std::string& name) const {
  const auto text = read({part, part_path(name)}, file_of(name));
  if (!text) return std::nullopt;
  auto record = decode_key(*text);
  if (!record) throw damaged(path_of(name));
  return record;
}

bool KeyFolder::is_another(const FileDescriptor& part, const std::string& name,
                           const std::string& key_id) const {
  try {
    const auto there = read_key(part, name);
    return there && there->key_id != key_id;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInternal) throw;
    return false;
  }
}

std::optional<KeyRecord> KeyFolder::find_once(const std::string& name) {
  const auto root = open_root();
  const auto part = open_part(root, name);
  if (!part.is_open()) return std::nullopt;
  auto record = read_key(part, name);
  if (record && !is_synced(record->key_id)) {
    sync_part(root, part, name);
    note_synced(record->key_id);
  }
  return record;
}

void KeyFolder::read_part(const FileDescriptor& root, const FileDescriptor& part,
                          const std::string& part_name, KeyPage& page) const {
  std::vector<std::string> names;
  check(part_path(part_name), system_.read_folder(part.number(), [&](const char* file, auto) {
    if (auto name = name_of_key(file)) names.push_back(std::move(*name));
    return true;
  }));
  for (auto& name : names) {
    try {
      auto record = read_key(part, name);
      if (record) page.records.emplace_back(std::move(name), std::move(*record));
    } catch (const Error& failure) {
      page.damaged.push_back(failure.detail());
    }
  }
  // A key that is wrapped anew already needs its old master key no more once it is told of.
  if (!page.records.empty()) sync_part(root, part, part_name);
}

bool KeyFolder::is_synced(const std::string& key_id) const {
  const std::scoped_lock lock(mutex_);
  return synced_.contains(key_id);
}

void KeyFolder::note_synced(const std::string& key_id) {
  const std::scoped_lock lock(mutex_);
  if (synced_.size() >= kSyncedMost) synced_.clear();
  synced_.insert(key_id);
}

}  // namespace colloquy::keyring
