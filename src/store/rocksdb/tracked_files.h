// The file system that RocksDB sees: the one below, and three things that RocksDB
// lacks. It remembers the last log that was opened for reading, because RocksDB's
// words for a damaged log do not name it; it knows whether the last write that
// failed found the disk full, which RocksDB forgets on the way; and it can refuse
// the reads of a thread that must not block.
//
// Thread-safe.
#pragma once

#include <rocksdb/file_system.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

namespace colloquy::store {

// While one lives, reads of table files on this thread are refused instead of carried out, so that
// an event loop reads what is in memory and nothing else. Whoever made it must throw away what was
// read when `refused` is true: an iterator of RocksDB 7.8 that could not go on into the next file
// says that it is at its end, with an ok status (so does its own way for this,
// ReadOptions::read_tier = kBlockCacheTier, which is why that is not used). One at a time on a
// thread.
class MemoryOnly {
 public:
  MemoryOnly();
  ~MemoryOnly();
  MemoryOnly(const MemoryOnly&) = delete;
  MemoryOnly& operator=(const MemoryOnly&) = delete;
  bool refused() const;
};

class TrackedFiles final : public rocksdb::FileSystemWrapper {
 public:
  explicit TrackedFiles(const std::shared_ptr<rocksdb::FileSystem>& target)
      : FileSystemWrapper(target) {}
  const char* Name() const override { return "ColloquyTrackedFiles"; }

  std::string last_read() const;
  // The last write that failed found no space, and none has succeeded since.
  bool out_of_space() const { return out_of_space_.load(std::memory_order_relaxed); }

  rocksdb::IOStatus NewSequentialFile(const std::string& name, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSSequentialFile>* file,
                                      rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewRandomAccessFile(const std::string& name,
                                        const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                                        rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewDirectory(const std::string& name, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* directory,
                                 rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;

 private:
  class File;
  class TableFile;
  class Directory;
  // Takes note of how a write ended, and hands it on.
  rocksdb::IOStatus seen(rocksdb::IOStatus status);

  mutable std::mutex mutex_;
  std::string last_read_;  // guarded by mutex_
  std::atomic<bool> out_of_space_{false};
};

}  // namespace colloquy::store
