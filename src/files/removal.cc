#include "files/removal.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file_descriptor.h"
#include "base/sha256.h"
#include "base/text.h"
#include "files/failure.h"
#include "files/names.h"
#include "telemetry/log.h"

namespace colloquy::files {
namespace {

constexpr std::size_t kDepthMost = 256;
constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY;
// No file of a user's can be called so.
const std::string kMark = "\\erased";

class Removal {
 public:
  Removal(FileSystem& system, std::size_t most) : system_(system), left_(most) {}

  // True when the folder is empty, but for what is called `kept`.
  bool empty(int folder, std::size_t depth, const std::string& kept = {}) {
    if (depth > kDepthMost) throw error_of(ELOOP, "folders are too deep to be removed");
    while (left_ > 0) {
      const auto names = some_names(folder, kept);
      if (names.empty()) return true;
      for (const auto& name : names) {
        if (left_ == 0) return false;
        if (!remove(folder, name, depth)) return false;
      }
    }
    return false;
  }

  bool may_go_on() const { return left_ > 0; }

  // True when it has gone.
  bool remove(int folder, const std::string& name, std::size_t depth) {
    --left_;
    const int removed = system_.remove(folder, name);
    if (removed == 0 || removed == -ENOENT) return true;
    // Linux says EISDIR of a folder, POSIX EPERM.
    if (removed != -EISDIR && removed != -EPERM) throw error_of(-removed, "a file cannot go");
    const FileDescriptor inner(system_.open(folder, name, kFolderFlags, 0));
    if (!inner.is_open()) {
      if (inner.error() == ENOENT) return true;
      throw error_of(inner.error(), "a folder cannot be opened");
    }
    if (!empty(inner.number(), depth + 1)) return false;
    const int gone = system_.remove_folder(folder, name);
    if (gone < 0 && gone != -ENOENT) throw error_of(-gone, "a folder cannot be removed");
    return true;
  }

 private:
  std::vector<std::string> some_names(int folder, const std::string& kept) {
    std::vector<std::string> names;
    const int result = system_.read_folder(folder, [&](const char* name, unsigned char) {
      if (name != kept) names.emplace_back(name);
      return names.size() < left_;
    });
    if (result < 0) throw error_of(-result, "a folder cannot be read");
    return names;
  }

  FileSystem& system_;
  std::size_t left_;
};

// The folders of those whose erasure has begun.
class Erased {
 public:
  Erased(const Volume& volume, const UserId& user)
      : system_(volume.system()),
        root_(volume.root()),
        user_(user),
        prefix_(to_hex(bytes_of(sha256({user.value()}))) + "-") {
    const int made = system_.make_folder(root_, kErasedFolder, kFolderMode);
    if (made < 0 && made != -EEXIST) throw error_of(-made, "a folder cannot be made");
    folder_ = FileDescriptor(system_.open(root_, kErasedFolder, kFolderFlags, 0));
    if (!folder_.is_open()) throw error_of(folder_.error(), "a folder cannot be opened");
  }

  // Afterwards the name is taken, and stays so.
  void move(const std::string& erasure) {
    const auto name = prefix_ + erasure;
    struct stat found {};
    const int looked = system_.stat_name(folder_.number(), name, found);
    // Taken for one that is there, the name would be made, and the files never moved.
    if (looked < 0 && looked != -ENOENT) throw error_of(-looked, "a folder cannot be looked at");
    if (looked == -ENOENT) {
      const int moved = system_.rename(root_, folder_of(user_), folder_.number(), name);
      // Another one was quicker; it is marked, so nothing takes its place.
      const bool there = moved == -ENOTEMPTY || moved == -EEXIST || moved == -ENOTDIR;
      if (moved < 0 && moved != -ENOENT && !there) {
        throw error_of(-moved, "a folder cannot be moved away");
      }
    }
    // Not a link, nor what else somebody may have put in the place of the user's folder.
    const bool is_there = system_.stat_name(folder_.number(), name, found) >= 0;
    if (is_there && !S_ISDIR(found.st_mode)) check(system_.remove(folder_.number(), name));
    check(system_.make_folder(folder_.number(), name, kFolderMode));
    const FileDescriptor own = open(name);
    check(system_.make_folder(own.number(), kMark, kFolderMode));
    sync(folder_.number());
    sync(root_);
  }

  // True when nothing is left of the user's, of this and of earlier erasures.
  bool empty(Removal& removal, StuckRests& stuck) {
    std::vector<std::string> old;
    for (const auto& name : names()) {
      if (!name.starts_with(prefix_)) {
        if (is_old(name)) old.push_back(name);
        continue;
      }
      const FileDescriptor folder = open(name);
      if (!removal.empty(folder.number(), 0, kMark)) return false;
      sync(folder.number());
    }
    for (const auto& name : old) {
      if (!removal.may_go_on()) break;
      try {
        removal.remove(folder_.number(), name, 0);
      } catch (const Error& error) {
        // Somebody else's rest that cannot go, such as what another program has made immutable,
        // does not keep this user's erasure from its end.
        stuck.note(name, error.detail());
      }
    }
    return true;
  }

 private:
  static void check(int result) {
    if (result < 0 && result != -EEXIST && result != -ENOENT) {
      throw error_of(-result, "a folder cannot be moved away");
    }
  }
  void sync(int folder) {
    const int synced = system_.sync(folder);
    if (synced < 0) throw error_of(-synced, "a folder cannot be synced");
  }
  FileDescriptor open(const std::string& name) {
    FileDescriptor folder(system_.open(folder_.number(), name, kFolderFlags, 0));
    if (!folder.is_open()) throw error_of(folder.error(), "a folder cannot be opened");
    return folder;
  }
  std::vector<std::string> names() {
    std::vector<std::string> all;
    const int result = system_.read_folder(folder_.number(), [&](const char* name, unsigned char) {
      all.emplace_back(name);
      return true;
    });
    if (result < 0) throw error_of(-result, "a folder cannot be read");
    return all;
  }
  bool is_old(const std::string& name) {
    struct stat found {};
    if (system_.stat_name(folder_.number(), name, found) < 0) return false;
    // Not that of its content, which the move of a folder does not touch.
    const auto changed = std::chrono::system_clock::from_time_t(found.st_ctim.tv_sec);
    return changed + kRestStays < std::chrono::system_clock::now();
  }

  FileSystem& system_;
  const int root_;
  const UserId& user_;
  const std::string prefix_;
  FileDescriptor folder_;
};

}  // namespace

void StuckRests::note(const std::string& rest, const std::string& why) {
  {
    const std::scoped_lock lock(mutex_);
    if (noted_.size() >= kStuckRestsMost || !noted_.insert(rest).second) return;
  }
  telemetry::log_warning("file.rest_stays", {{"rest", rest}, {"detail", why}});
}

bool remove_some_of(const Volume& volume, const UserId& user, const std::string& erasure,
                    StuckRests& stuck, std::size_t most) {
  Erased erased(volume, user);
  erased.move(erasure);
  Removal removal(volume.system(), most);
  return erased.empty(removal, stuck);
}

}  // namespace colloquy::files
