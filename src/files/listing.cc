#include "files/listing.h"

#include <dirent.h>
#include <fcntl.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/file_descriptor.h"
#include "files/failure.h"
#include "files/names.h"

namespace colloquy::files {
namespace {

constexpr std::size_t kBatch = 256;

// Walks a folder and those in it. A folder's key is its path with a '/' behind it, so that the
// order of keys is the order of the paths beneath them.
class Walk {
 public:
  Walk(const Volume& volume, const ListRequest& request)
      : system_(volume.system()),
        prefix_(request.prefix),
        from_(std::max(request.from, request.prefix)),
        limit_(request.limit) {}

  ListPage run(const Volume& volume, const UserId& user) {
    const FileDescriptor folder = volume.open_folder_of(user);
    if (folder.is_open()) {
      walk(folder.number(), "", 0);
    } else if (!means_missing(folder.error())) {
      throw error_of(folder.error(), "a folder cannot be opened");
    }
    return std::move(page_);
  }

 private:
  using Keys = std::set<std::string>;

  // False when the page is complete.
  bool walk(int folder, const std::string& path, std::size_t depth) {
    std::string after;
    for (bool first = true;; first = false) {
      const Keys keys = next_keys(folder, path, after, !first);
      for (const auto& key : keys) {
        const bool more = key.back() == '/' ? visit_folder(folder, path, key, depth)
                                            : visit_file(folder, path, key);
        if (!more) return false;
      }
      if (keys.size() < kBatch) return true;
      after = *keys.rbegin();
    }
  }

  // The least kBatch keys of what stands in the folder, behind `after`.
  Keys next_keys(int folder, const std::string& path, const std::string& after, bool has_after) {
    Keys keys;
    std::size_t seen = 0;
    const int result = system_.read_folder(folder, [&](const char* name, unsigned char type) {
      if (++seen > kListedNames) return false;
      if (!is_name(name)) return true;
      std::string key = path + name;
      if (key.size() > kPathBytes || !is_of_kind(folder, name, type, key)) return true;
      if ((has_after && key <= after) || !may_hold(key)) return true;
      keys.insert(std::move(key));
      if (keys.size() > kBatch) keys.erase(std::prev(keys.end()));
      return true;
    });
    if (seen > kListedNames) {
      throw Error(ErrorCode::kConflict, "A folder here has too many names to be listed.");
    }
    // It may have gone meanwhile.
    if (result < 0 && !means_missing(-result)) throw error_of(-result, "a folder cannot be read");
    return keys;
  }

  // Whether it is a file or a folder; a folder's key gets its '/'.
  bool is_of_kind(int folder, const char* name, unsigned char type, std::string& key) {
    bool is_folder = type == DT_DIR;
    bool is_file = type == DT_REG;
    struct stat found {};
    if (type == DT_UNKNOWN && system_.stat_name(folder, name, found) == 0) {
      is_folder = S_ISDIR(found.st_mode);
      is_file = S_ISREG(found.st_mode);
    }
    if (is_folder) key.push_back('/');
    return is_file || is_folder;
  }

  // Whether a path at or beneath the key can have the prefix and be at or past `from`.
  bool may_hold(const std::string& key) const {
    const auto common = std::min(key.size(), prefix_.size());
    if (key.compare(0, common, prefix_, 0, common) != 0) return false;
    if (key.back() != '/') return key.size() >= prefix_.size() && key >= from_;
    return key >= from_ || from_.starts_with(key) || past(key) > from_;
  }

  // The least string behind all that begin with a folder's key.
  static std::string past(std::string key) {
    key.back() = '0';  // what comes after '/'
    return key;
  }

  bool visit_folder(int folder, const std::string& path, const std::string& key,
                    std::size_t depth) {
    if (depth + 2 > kPathNames) return true;
    if (++folders_ > kListedFolders) {
      page_.next = std::max(key, from_);
      return false;
    }
    const std::string name = key.substr(path.size(), key.size() - path.size() - 1);
    const FileDescriptor inner(system_.open(folder, name, O_RDONLY | O_DIRECTORY, 0));
    if (means_missing(inner.error())) return true;
    if (!inner.is_open()) throw error_of(inner.error(), "a folder cannot be opened");
    return walk(inner.number(), key, depth + 1);
  }

  bool visit_file(int folder, const std::string& path, const std::string& key) {
    if (page_.files.size() == limit_) {
      page_.next = key;
      return false;
    }
    struct stat found {};
    if (system_.stat_name(folder, key.substr(path.size()), found) < 0) return true;
    if (is_servable(found)) page_.files.push_back(info_of(key, found));
    return true;
  }

  FileSystem& system_;
  const std::string prefix_;
  const std::string from_;
  const std::size_t limit_;
  std::size_t folders_ = 0;
  ListPage page_;
};

}  // namespace

ListPage list(const Volume& volume, const UserId& user, const ListRequest& request) {
  return Walk(volume, request).run(volume, user);
}

}  // namespace colloquy::files
