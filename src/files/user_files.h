// The users' files for coroutines: a volume behind a few threads of its own, with each user's quota
// and a floor of free space, measured.
//
// Any event loop may call; no call blocks it. An upload or a reader may outlive the UserFiles.
// Paths: kInvalid where a file cannot have one (names.h) when it is to be written; elsewhere such a
// path names nothing. Errors: those of Volume; kThrottled where a user has too many uploads or
// readers, kUnavailable where all have, or where the file system has not answered in time;
// kConflict for an encrypted file that cannot be decrypted; with a keyring, its errors too.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/ids.h"
#include "base/task.h"
#include "files/checksum.h"
#include "files/listing.h"
#include "files/usage.h"
#include "files/volume.h"
#include "telemetry/metrics.h"

namespace colloquy::keyring {
class Keyring;
}

namespace colloquy::files {

// How many at once.
struct Allowance {
  std::size_t each = 0;  // of one user
  std::size_t all = 0;   // of all users
};

struct UserFilesOptions {
  std::string folder;
  std::string unique;  // a name that no other process has
  Quota quota;
  std::uint64_t min_free_bytes = 0;
  std::uint64_t max_file_bytes = 0;
  std::size_t threads = 4;
  // Each upload keeps some half a MiB in memory.
  Allowance uploads{64, 512};
  Allowance readers{256, 4096};
  // Of encrypted files (sealed_file.h), which are told from others by how they begin. Null: every
  // file is taken as it is. Outlives the UserFiles.
  keyring::Keyring* keyring = nullptr;
  // What is written from now on is encrypted. Else only what would be taken for encrypted.
  bool encrypt = false;
};

struct NewFile {
  UserId user;
  std::string path;
  Precondition precondition;
  std::optional<std::uint64_t> bytes;  // where it is known
  Checksums checksums;                 // that were declared
};

struct FilesShared;
class UserPool;

// A file that is being written. Gone without a trace unless it was finished. For one coroutine.
class Upload {
 public:
  virtual ~Upload() = default;
  // Adds to its end. Errors: kQuota past the user's share or the floor of free space, kTooLarge.
  virtual Task<> write(std::string bytes) = 0;
  // Makes it the user's file; durable when this returns. Errors: kInvalid where a checksum or the
  // length is another than was declared; those of Volume::put.
  virtual Task<Stored> finish() = 0;
  // There will be no more: what was taken is given back when this returns.
  virtual Task<> give_up() = 0;
};

// An open file; what is read of it is of one version, if is_unchanged afterwards.
class Reader {
 public:
  virtual ~Reader() = default;
  virtual const FileInfo& info() const = 0;
  virtual Task<std::string> read(std::uint64_t offset, std::size_t bytes) = 0;
  virtual Task<bool> is_unchanged() = 0;
};

class UserFiles {
 public:
  // Opens the folder, and sweeps what earlier uploads left. Throws kInvalid where it cannot be
  // used.
  UserFiles(UserFilesOptions options, FileSystem& system, const Clock& clock,
            telemetry::Metrics& metrics);
  // Runs what was begun. Not on a thread of its own.
  ~UserFiles();

  // All that can be refused before a byte is there, is refused here.
  Task<std::unique_ptr<Upload>> begin(NewFile file);
  Task<std::optional<FileInfo>> info(UserId user, std::string path);
  Task<std::unique_ptr<Reader>> open(UserId user, std::string path);  // null: there is none
  Task<> remove(UserId user, std::string path, Precondition precondition);
  Task<ListPage> list(UserId user, ListRequest request);
  // Removes some of what stood in the user's folder when an erasure of this name began, whatever it
  // is; true when nothing is left of that. What comes into the folder after that answer stays,
  // also where a call that began before it ends later (removal.h).
  Task<bool> remove_some(UserId user, std::string erasure);
  // Another server may have removed them: what they take is measured again.
  void forget_usage(const UserId& user);

  std::uint64_t max_file_bytes() const { return options_.max_file_bytes; }

 private:
  class PoolReader;
  struct OpenState;

  Task<> open_sealed(std::shared_ptr<OpenState> state);

  const UserFilesOptions options_;
  std::shared_ptr<FilesShared> shared_;
  std::shared_ptr<UserPool> pool_;
};

}  // namespace colloquy::files
