// A RocksDB file system that can lose power, fill up and fail, over the real one.
//
// Nothing is ever synced for real: what a Sync would have made durable is
// remembered, and `lose_power` brings the files to what a disk could hold after
// the loss: every file cut to what was synced (or, torn, to some more with holes in
// it), new and renamed files undone unless their folder was synced since.
// Removals are taken to be durable at once, which is the harder case.
//
// Thread-safe, but for lose_power: nothing may have a file open then.
#pragma once

#include <rocksdb/file_system.h>

#include <atomic>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace colloquy::store {

class FaultyFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  // kKill: the process ends as by SIGKILL, at a removal too. kHang: the call, and with it every
  // other one, does not return until `heal`.
  enum class Fault : std::uint8_t { kNoSpace, kIoError, kKill, kHang };

  FaultyFileSystem() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "FaultyFileSystem"; }

  // The `after`-th write or sync from now (0: the next), and all that follow, fail until `heal`.
  void fail(Fault fault, std::uint64_t after = 0);
  void heal();
  // How many writes and syncs there were so far, failed ones too.
  std::uint64_t writes() const;
  // What GetFreeSpace answers; empty: the truth.
  void set_free_space(std::optional<std::uint64_t> bytes);
  // To be called after the database is closed. With `torn`, a file may keep a part of what was not
  // synced, with sectors of zeros in it.
  void lose_power(std::mt19937* torn = nullptr);

  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus ReopenWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                       std::unique_ptr<rocksdb::FSWritableFile>* file,
                                       rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewDirectory(const std::string& name, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* directory,
                                 rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus DeleteFile(const std::string& name, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus GetFreeSpace(const std::string& path, const rocksdb::IOOptions& options,
                                 std::uint64_t* bytes, rocksdb::IODebugContext* debug) override;

 private:
  class File;
  class Directory;
  struct Length {
    std::uint64_t written = 0;
    std::uint64_t synced = 0;
  };
  // A change of a folder that is not durable yet: a new file, or a rename.
  struct Pending {
    std::string path;
    std::string renamed_from;                 // empty: a new file
    std::optional<std::string> old_contents;  // of what the rename replaced
  };

  rocksdb::IOStatus count_write();  // under mutex_
  void undo(const Pending& pending);
  void cut(const std::string& path, const Length& length, std::mt19937* torn);

  mutable std::mutex mutex_;
  std::map<std::string, Length> lengths_;  // guarded by mutex_, as all below
  std::vector<Pending> pending_;
  std::uint64_t writes_ = 0;
  std::uint64_t fail_from_ = std::numeric_limits<std::uint64_t>::max();
  Fault fault_ = Fault::kNoSpace;
  std::optional<std::uint64_t> free_space_;
  std::atomic<bool> hanging_{false};
};

}  // namespace colloquy::store
