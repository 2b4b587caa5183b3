// Files that are still being written. They stand in a folder of this process's own beside those of
// the users, ROOT/.colloquy-uploads/NAME, on the same file system, and become a user's file by one
// rename.
//
// The folder has a file `lock`, on which the process holds flock(2) as long as it lives, and which
// says which running machine it is on. What others left is swept at start, and then from time to
// time: where the lock can be had and was of this machine, at once; where it was of another, whose
// locks may not be seen from here, what was not written to for kLeftAfter. A process whose folder
// somebody removed all the same makes another one.
//
// Thread-safe. Calls block.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/file_descriptor.h"
#include "base/file_system.h"

namespace colloquy::files {

inline constexpr const char* kDraftsFolder = ".colloquy-uploads";
inline constexpr unsigned kFolderMode = 0777;  // less what the process's umask takes

inline constexpr std::chrono::hours kLeftAfter{1};

class Drafts;

// That of a process.
struct DraftsFolder {
  std::string name;
  FileDescriptor folder;
  FileDescriptor lock;
};

// One of them. Gone at the end unless it was moved away. For one thread at a time.
class Draft {
 public:
  // Makes an empty one. Errors: as error_of (volume.h) says.
  explicit Draft(std::shared_ptr<Drafts> drafts);
  ~Draft();
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;

  // Adds to its end, all of it.
  void append(std::string_view bytes);
  // Sets its time, and returns when its contents would survive the loss of power.
  void finish();
  // Gives it a name elsewhere; with `only_new`, only a free one. A negative errno or 0.
  int move_to(int folder, const std::string& name, bool only_new);

  bool moved() const { return moved_; }
  int file() const { return file_.number(); }
  std::uint64_t bytes() const { return bytes_; }

 private:
  std::shared_ptr<Drafts> drafts_;
  std::shared_ptr<const DraftsFolder> folder_;
  std::string name_;
  FileDescriptor file_;
  std::uint64_t bytes_ = 0;
  std::uint64_t writing_out_ = 0;  // of them
  bool moved_ = false;
};

class Drafts {
 public:
  // `root` outlives it. Sweeps, then makes the folder of this process, with a name from `unique`,
  // which no other process has. Errors: as error_of (volume.h) says; kInvalid where the file
  // system has no locks, or does not tell upper from lower case.
  Drafts(FileSystem& system, int root, const std::string& unique);
  // Removes the folder.
  ~Drafts();
  Drafts(const Drafts&) = delete;
  Drafts& operator=(const Drafts&) = delete;

  // Returns how many files others had left.
  std::uint64_t sweep();

 private:
  friend class Draft;
  void require_case(int root) const;
  std::uint64_t sweep_folder(const std::string& name, std::int64_t now_s);
  bool is_left(int folder, const std::string& name, std::int64_t now_s) const;
  bool is_of_this_machine(int lock) const;
  std::int64_t now_s(const DraftsFolder& own) const;
  std::shared_ptr<const DraftsFolder> own();
  std::shared_ptr<const DraftsFolder> renew(const std::shared_ptr<const DraftsFolder>& gone);
  void make_own();
  std::shared_ptr<const DraftsFolder> take_folder(const std::string& name);
  void remove(const DraftsFolder& folder);

  FileSystem& system_;
  const std::string unique_;
  const std::string machine_;
  FileDescriptor all_;  // the folder of folders
  std::atomic<std::uint64_t> next_{0};
  std::mutex mutex_;
  // Guarded by mutex_.
  std::shared_ptr<const DraftsFolder> own_;
  int next_folder_ = 0;
};

}  // namespace colloquy::files
