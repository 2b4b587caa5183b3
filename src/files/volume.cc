#include "files/volume.h"

#include <fcntl.h>

#include <cerrno>
#include <functional>
#include <system_error>

#include "base/error.h"
#include "files/failure.h"
#include "files/names.h"

namespace colloquy::files {
namespace {

constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY;
// Nothing is waited for, whatever another program has put there.
constexpr int kFileFlags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW;
// How often a path is walked again because a folder on it went meanwhile.
constexpr int kWalks = 16;
constexpr unsigned kDepthMost = 64;

Error in_the_way() {
  return {ErrorCode::kConflict, "A folder has this name, or a file has that of a folder in it."};
}

Error precondition_failed() {
  return {ErrorCode::kPreconditionFailed, "The file is not, or no longer, as you expect it."};
}

// Why a folder on the way cannot be opened.
Error on_the_way(int error) {
  const bool forbidden = error == EACCES || error == EPERM;
  if (means_missing(error) && !means_bad_name(error) && !forbidden) return in_the_way();
  return error_of_writing(error, "a folder cannot be opened");
}

std::string folder_part(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

std::string name_part(const std::string& path) { return path.substr(path.rfind('/') + 1); }

FileDescriptor open_root(FileSystem& system, const std::string& root) {
  // Where the operator's folder is, links and all, is the operator's affair.
  FileDescriptor found(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!found.is_open()) {
    throw Error(ErrorCode::kInvalid, "cannot be opened: " + std::generic_category().message(errno));
  }
  FreeSpace free;
  const int result = system.free_space(found.number(), free);
  if (result < 0) {
    throw Error(ErrorCode::kInvalid, "cannot be used: " + std::generic_category().message(-result));
  }
  // It may be new. Where it stands need not be readable, such as above a mount point.
  const FileDescriptor above(::openat(found.number(), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (above.is_open()) system.sync(above.number());
  return found;
}

Error moved_meanwhile() { return unavailable("The file's folder is being removed. Try again."); }

}  // namespace

// The folder of a file that is to be, and those that were made on the way to it.
struct Volume::Parents {
  struct Made {
    FileDescriptor above;
    std::string name;
    std::string key;  // in unsynced_
  };
  std::vector<Made> made;               // the outermost first
  std::vector<FileDescriptor> to_sync;  // those above folders that others have made
  FileDescriptor folder;
  std::uint64_t made_within = 0;  // without the user's own
};

Volume::Volume(FileSystem& system, const std::string& root, const std::string& unique)
    : system_(system),
      root_(open_root(system, root)),
      drafts_(std::make_shared<Drafts>(system, root_.number(), unique)) {}

FileDescriptor Volume::open_folder_of(const UserId& user) const {
  return FileDescriptor(system_.open(root_.number(), folder_of(user), kFolderFlags, 0));
}

FileDescriptor Volume::open_in(const UserId& user, const std::string& path, int flags) const {
  FileDescriptor folder(system_.open(root_.number(), folder_of(user), O_PATH | O_DIRECTORY, 0));
  if (!folder.is_open()) return folder;
  return FileDescriptor(system_.open(folder.number(), path.empty() ? "." : path, flags, 0));
}

std::mutex& Volume::lock_of(const UserId& user, const std::string& path) {
  return locks_.at(std::hash<std::string>{}(user.value() + '\0' + path) % locks_.size());
}

std::optional<FileInfo> Volume::info(const UserId& user, const std::string& path) const {
  // O_PATH opens nothing of a device's or a FIFO's.
  const FileDescriptor file = open_in(user, path, O_PATH | O_NOFOLLOW);
  if (means_missing(file.error())) return std::nullopt;
  if (!file.is_open()) throw error_of(file.error(), "a file cannot be looked at");
  struct stat found {};
  const int result = system_.stat(file.number(), found);
  if (result < 0) throw error_of(-result, "a file cannot be looked at");
  if (!is_servable(found)) return std::nullopt;
  return info_of(path, found);
}

std::optional<OpenFile> Volume::open(const UserId& user, const std::string& path) const {
  // Opening a device may do something to it.
  if (!info(user, path)) return std::nullopt;
  OpenFile opened;
  opened.file = open_in(user, path, kFileFlags);
  if (means_missing(opened.file.error())) return std::nullopt;
  if (!opened.file.is_open()) throw error_of(opened.file.error(), "a file cannot be opened");
  struct stat found {};
  const int result = system_.stat(opened.file.number(), found);
  if (result < 0) throw error_of(-result, "a file cannot be looked at");
  if (!is_servable(found)) return std::nullopt;
  opened.info = info_of(path, found);
  opened.modified_ns = found.st_mtim.tv_nsec;
  return opened;
}

std::string Volume::read(const OpenFile& file, std::uint64_t offset, std::size_t bytes) const {
  std::string room(bytes, '\0');
  std::size_t filled = 0;
  while (filled < bytes) {
    const ssize_t got =
        system_.read(file.file.number(), room.data() + filled, bytes - filled, offset + filled);
    if (got < 0) throw error_of(static_cast<int>(-got), "a file cannot be read");
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  room.resize(filled);
  return room;
}

bool Volume::is_unchanged(const OpenFile& file) const {
  struct stat found {};
  if (system_.stat(file.file.number(), found) < 0) return false;
  // Not the whole tag: losing its name to a new file changes nothing in this one.
  const auto now = info_of(file.info.path, found);
  return now.bytes == file.info.bytes && now.modified_s == file.info.modified_s &&
         found.st_mtim.tv_nsec == file.modified_ns;
}

std::unique_ptr<Draft> Volume::begin() const { return std::make_unique<Draft>(drafts_); }

FreeSpace Volume::free_space() const {
  FreeSpace free;
  const int result = system_.free_space(root_.number(), free);
  if (result < 0) throw error_of(-result, "the free space cannot be had");
  return free;
}

// What has the name: a file, or nothing that could be served.
std::optional<FileInfo> Volume::look(int folder, const std::string& name, const std::string& path,
                                     bool* taken_by_folder) const {
  struct stat found {};
  const int result = system_.stat_name(folder, name, found);
  *taken_by_folder = result >= 0 && S_ISDIR(found.st_mode);
  // A name that cannot be had is refused when something is to have it.
  if (result == -ENOENT || means_bad_name(-result)) return std::nullopt;
  if (result < 0) throw error_of_writing(-result, "a file cannot be looked at");
  if (!is_servable(found)) return std::nullopt;
  return info_of(path, found);
}

std::uint64_t Volume::check_way(const UserId& user, const std::string& path) const {
  const auto names = names_of(path);
  FileDescriptor folder = open_folder_of(user);
  // The last name is the file's.
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (folder.error() == ENOENT) return names.size() - 1 - (i > 0 ? i - 1 : 0);
    if (!folder.is_open()) throw on_the_way(folder.error());
    folder = FileDescriptor(system_.open(folder.number(), names[i], kFolderFlags, 0));
  }
  if (folder.is_open()) throw in_the_way();
  if (means_bad_name(folder.error())) throw on_the_way(folder.error());
  return 0;
}

// A name in a folder, whatever path leads there.
std::string Volume::key_of(int above, const std::string& name) const {
  struct stat found {};
  const int result = system_.stat(above, found);
  if (result < 0) throw error_of(-result, "a folder cannot be looked at");
  return std::to_string(found.st_dev) + ":" + std::to_string(found.st_ino) + "/" + name;
}

bool Volume::is_unsynced(int above, const std::string& name) {
  {
    const std::scoped_lock lock(unsynced_mutex_);
    if (unsynced_.empty()) return false;
  }
  const auto key = key_of(above, name);
  const std::scoped_lock lock(unsynced_mutex_);
  return unsynced_.contains(key);
}

// ENOENT where what it was to be in has gone.
FileDescriptor Volume::open_or_make(int above, const std::string& name, Parents& parents) {
  FileDescriptor folder(system_.open(above, name, kFolderFlags, 0));
  if (folder.error() == ENOENT) {
    Parents::Made made{FileDescriptor(system_.open(above, ".", kFolderFlags, 0)), name, ""};
    if (made.above.error() == ENOENT) return folder;
    if (!made.above.is_open()) throw error_of(made.above.error(), "a folder cannot be opened");
    made.key = key_of(above, name);
    // Known before it can be found, so that who finds it knows that it is not yet safe.
    {
      const std::scoped_lock lock(unsynced_mutex_);
      unsynced_.insert(made.key);
    }
    const int result = system_.make_folder(above, name, kFolderMode);
    parents.made.push_back(std::move(made));
    if (result < 0) forget_last(parents);
    if (result < 0 && result != -EEXIST && result != -ENOENT) {
      throw error_of_writing(-result, "a folder cannot be made");
    }
    folder = FileDescriptor(system_.open(above, name, kFolderFlags, 0));
    if (result >= 0) return folder;
  }
  if (folder.is_open() && is_unsynced(above, name)) {
    parents.to_sync.emplace_back(system_.open(above, ".", kFolderFlags, 0));
    const auto& added = parents.to_sync.back();
    if (!added.is_open()) throw error_of(added.error(), "a folder cannot be opened");
  }
  return folder;
}

void Volume::forget_last(Parents& parents) {
  const std::scoped_lock lock(unsynced_mutex_);
  const auto found = unsynced_.find(parents.made.back().key);
  if (found != unsynced_.end()) unsynced_.erase(found);
  parents.made.pop_back();
}

// False where a folder on the way has gone meanwhile.
bool Volume::make_parents(const UserId& user, const std::vector<std::string>& names,
                          Parents& parents) {
  parents.to_sync.clear();
  parents.folder = FileDescriptor();
  std::string name = folder_of(user);
  for (std::size_t i = 0;; ++i) {
    const int above = i == 0 ? root_.number() : parents.folder.number();
    const auto made_before = parents.made.size();
    FileDescriptor next = open_or_make(above, name, parents);
    if (i > 0) parents.made_within += parents.made.size() - made_before;
    if (next.error() == ENOENT) return false;
    if (!next.is_open()) throw on_the_way(next.error());
    parents.folder = std::move(next);
    if (i + 1 >= names.size()) return true;
    name = names[i];
  }
}

// From the innermost on: who finds a folder that is safe, finds it in one that is.
void Volume::sync(Parents& parents) {
  int result = system_.sync(parents.folder.number());
  for (auto folder = parents.to_sync.rbegin(); folder != parents.to_sync.rend(); ++folder) {
    const int synced = system_.sync(folder->number());
    result = result < 0 ? result : synced;
  }
  while (!parents.made.empty()) {
    const int synced = system_.sync(parents.made.back().above.number());
    result = result < 0 ? result : synced;
    if (synced < 0) {
      parents.made.pop_back();  // whoever uses the folder tries again
    } else {
      forget_last(parents);
    }
  }
  if (result < 0) throw error_of(-result, "a folder cannot be synced");
}

// Removes the folders that were made, as far as nobody else has put something there.
void Volume::give_up(Parents& parents) {
  while (!parents.made.empty()) {
    const auto& made = parents.made.back();
    const int removed = system_.remove_folder(made.above.number(), made.name);
    const bool is_safe =
        removed >= 0 || removed == -ENOENT || system_.sync(made.above.number()) >= 0;
    if (is_safe) {
      forget_last(parents);
    } else {
      parents.made.pop_back();
    }
  }
}

// False where the folder has gone meanwhile.
bool Volume::try_put(const Parents& parents, const std::string& path, Draft& draft,
                     const Precondition& precondition, const Admit& admit, bool* replaces) {
  const std::string name = name_part(path);
  bool taken_by_folder = false;
  const auto found = look(parents.folder.number(), name, path, &taken_by_folder);
  if (taken_by_folder) throw in_the_way();
  if (!precondition.holds_for(found)) throw precondition_failed();
  *replaces = found.has_value();
  admit({found ? std::optional(found->bytes) : std::nullopt, parents.made_within});
  const int moved = draft.move_to(parents.folder.number(), name, precondition.missing);
  if (moved == -ENOENT) return false;
  if (moved == -EEXIST) throw precondition_failed();
  if (moved == -EISDIR) throw in_the_way();
  if (moved == -EXDEV) {
    throw unavailable("The files cannot be reached at the moment.",
                      "a user's folder is on another file system than the folder of uploads");
  }
  if (moved < 0) throw error_of_writing(-moved, "an upload cannot be moved to its place");
  return true;
}

Stored Volume::put(const UserId& user, const std::string& path, Draft& draft,
                   const Precondition& precondition, const Admit& admit) {
  const auto names = names_of(path);
  draft.finish();
  Stored stored;
  Parents parents;
  bool moved = false;
  try {
    const std::scoped_lock lock(lock_of(user, path));
    bool replaces = false;
    for (int walk = 0; walk < kWalks && !moved; ++walk) {
      if (!make_parents(user, names, parents)) continue;
      moved = try_put(parents, path, draft, precondition, admit, &replaces);
    }
    if (!moved) throw moved_meanwhile();
    stored.is_new = !replaces;
  } catch (...) {
    give_up(parents);
    throw;
  }
  struct stat found {};
  const int result = system_.stat(draft.file(), found);
  if (result < 0) throw error_of(-result, "a file cannot be looked at");
  stored.info = info_of(path, found);
  sync(parents);
  return stored;
}

Use Volume::remove(const UserId& user, const std::string& path, const Precondition& precondition) {
  Use freed;
  {
    const std::scoped_lock lock(lock_of(user, path));
    const FileDescriptor folder = open_in(user, folder_part(path), kFolderFlags);
    if (!folder.is_open() && !means_missing(folder.error())) {
      throw error_of(folder.error(), "a folder cannot be opened");
    }
    bool taken_by_folder = false;
    std::optional<FileInfo> found;
    if (folder.is_open()) found = look(folder.number(), name_part(path), path, &taken_by_folder);
    const auto sync = [this, &folder] {
      const int synced = system_.sync(folder.number());
      if (synced < 0) throw error_of(-synced, "a folder cannot be synced");
    };
    if (!found) {
      // Who asks again after a removal whose sync has failed is not told that it is gone before it
      // is gone for good.
      if (folder.is_open()) sync();
      // What must be there and is not is missing, whatever was to hold of it.
      throw not_found();
    }
    if (!precondition.holds_for(found)) throw precondition_failed();
    freed = {found->bytes, 1};
    const int removed = system_.remove(folder.number(), name_part(path));
    if (removed == -EISDIR) throw not_found();
    if (removed < 0 && removed != -ENOENT) {
      throw error_of_writing(-removed, "a file cannot be removed");
    }
    sync();
    if (removed == -ENOENT) throw not_found();
  }
  freed.files += remove_empty(user, path);
  return freed;
}

// The folders on the way to a file, from the innermost on, as far as they are empty. The user's own
// stays. One that is left over does no harm. Returns how many.
std::uint64_t Volume::remove_empty(const UserId& user, const std::string& path) const {
  std::uint64_t count = 0;
  for (std::string folder = folder_part(path); !folder.empty(); folder = folder_part(folder)) {
    const FileDescriptor above = open_in(user, folder_part(folder), kFolderFlags);
    if (!above.is_open()) continue;
    const int removed = system_.remove_folder(above.number(), name_part(folder));
    if (removed < 0 && removed != -ENOENT) break;
    count += removed < 0 ? 0 : 1;
  }
  return count;
}

namespace {

void measure_folder(FileSystem& system, int folder, unsigned depth, Use& use) {
  std::vector<std::string> folders;
  const int read = system.read_folder(folder, [&](const char* name, unsigned char) {
    struct stat found {};
    if (system.stat_name(folder, name, found) < 0) return true;
    // Also what is not served takes its room.
    if (S_ISREG(found.st_mode)) use.bytes += static_cast<std::uint64_t>(found.st_size);
    if (S_ISDIR(found.st_mode)) folders.emplace_back(name);
    ++use.files;
    return true;
  });
  if (read < 0 && !means_missing(-read)) throw error_of(-read, "a folder cannot be read");
  if (depth == kDepthMost) return;
  for (const auto& name : folders) {
    const FileDescriptor inner(system.open(folder, name, kFolderFlags, 0));
    if (inner.is_open()) measure_folder(system, inner.number(), depth + 1, use);
  }
}

}  // namespace

Use Volume::measure(const UserId& user) const {
  Use use;
  const FileDescriptor folder = open_folder_of(user);
  if (means_missing(folder.error())) return use;
  if (!folder.is_open()) throw error_of(folder.error(), "a folder cannot be opened");
  measure_folder(system_, folder.number(), 0, use);
  return use;
}

}  // namespace colloquy::files
