// The users' files in a folder on a file system, each user's under a folder of their own
// (names.h). Other programs may read and write there too.
//
// A file is written beside (drafts.h), synced, and moved to its place by one rename: a reader has
// the old one whole or the new one whole, also after a crash. Only regular files with one name are
// found; what else another program puts there is as if it were not.
//
// Thread-safe. Calls block for as long as the disk does; paths must not be refused by names.h.
// Errors: kQuota where there is no room; of writing, kInvalid for a name that the file system
// cannot have, and kConflict where another program has forbidden it; kUnavailable for what else the
// file system refuses; and what each call says. What another program does not let us read is as if
// it were not there.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/file_descriptor.h"
#include "base/file_system.h"
#include "base/ids.h"
#include "files/drafts.h"
#include "files/file_info.h"

namespace colloquy::files {

struct OpenFile {
  FileDescriptor file;
  FileInfo info;
  std::int64_t modified_ns = 0;  // what its tag has beyond the second
};

struct Stored {
  FileInfo info;
  bool is_new = false;
};

// What a user has. Folders count as files do, but for the user's own.
struct Use {
  std::uint64_t bytes = 0;
  std::uint64_t files = 0;
};

// What a file that is written does to it, beside its own bytes.
struct Change {
  std::optional<std::uint64_t> replaced_bytes;  // nullopt: nothing is replaced
  std::uint64_t folders = 0;                    // that are new on the way
};

class Volume {
 public:
  // Makes the folder where it is missing, and sweeps what uploads were left behind. `unique` is a
  // name that no other process has. Errors: also kInvalid where it cannot be used.
  Volume(FileSystem& system, const std::string& root, const std::string& unique);

  // nullopt: there is none.
  std::optional<FileInfo> info(const UserId& user, const std::string& path) const;
  std::optional<OpenFile> open(const UserId& user, const std::string& path) const;
  // As much as there is from `offset` on, up to `bytes`.
  std::string read(const OpenFile& file, std::uint64_t offset, std::size_t bytes) const;
  // False once another program has written into the file since it was opened.
  bool is_unchanged(const OpenFile& file) const;

  std::unique_ptr<Draft> begin() const;
  // Makes the draft, all written, the file at the path; folders on the way are made, and gone again
  // where it fails. `admit` is told what changes, just before, and may throw. Nothing else of this
  // process changes the path between the look at what is there and the rename.
  // Errors: kPreconditionFailed; kConflict where a folder has the name, or a file that of a folder.
  // After kUnavailable the file may be there, but not yet so that it survives the loss of power.
  using Admit = std::function<void(const Change& change)>;
  Stored put(const UserId& user, const std::string& path, Draft& draft,
             const Precondition& precondition, const Admit& admit);
  // How many folders are missing on the way. What put would be refused for: kConflict, kInvalid.
  std::uint64_t check_way(const UserId& user, const std::string& path) const;
  // Returns what is free now: folders that are then empty go too. Errors: kNotFound,
  // kPreconditionFailed.
  Use remove(const UserId& user, const std::string& path, const Precondition& precondition);

  // Counts all that is in the user's folder.
  Use measure(const UserId& user) const;
  FreeSpace free_space() const;
  // Removes what uploads have left behind; returns how many files.
  std::uint64_t sweep() { return drafts_->sweep(); }

  FileSystem& system() const { return system_; }
  // ENOENT where the user has none.
  FileDescriptor open_folder_of(const UserId& user) const;
  int root() const { return root_.number(); }

 private:
  struct Parents;
  FileDescriptor open_in(const UserId& user, const std::string& path, int flags) const;
  bool make_parents(const UserId& user, const std::vector<std::string>& names, Parents& parents);
  FileDescriptor open_or_make(int above, const std::string& name, Parents& parents);
  void forget_last(Parents& parents);
  void give_up(Parents& parents);
  std::optional<FileInfo> look(int folder, const std::string& name, const std::string& path,
                               bool* taken_by_folder) const;
  bool try_put(const Parents& parents, const std::string& path, Draft& draft,
               const Precondition& precondition, const Admit& admit, bool* replaces);
  void sync(Parents& parents);
  std::uint64_t remove_empty(const UserId& user, const std::string& path) const;
  std::mutex& lock_of(const UserId& user, const std::string& path);
  std::string key_of(int above, const std::string& name) const;
  bool is_unsynced(int above, const std::string& name);

  FileSystem& system_;
  FileDescriptor root_;
  std::shared_ptr<Drafts> drafts_;
  std::array<std::mutex, 256> locks_;  // of paths, by their hash
  std::mutex unsynced_mutex_;
  // Folders that puts under way have made, which would not yet survive the loss of power, by
  // key_of. Guarded by unsynced_mutex_.
  std::unordered_multiset<std::string> unsynced_;
};

}  // namespace colloquy::files
