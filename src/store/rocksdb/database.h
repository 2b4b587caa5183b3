// An open RocksDB with the column families of the store, and how it is opened.
//
// What is read here goes through Reader, what is written through Writer. Any thread
// may read while it holds an Access; `reopen` waits for all of those, and is
// called by the one thread that also writes.
#pragma once

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

#include "store/rocksdb/folder_lock.h"
#include "store/rocksdb/rocksdb_store.h"
#include "store/rocksdb/tracked_files.h"

namespace colloquy::store {

class Database {
 public:
  // Opens or creates. Before RocksDB replays its logs they are checked record by record
  // (log_check.h), so that a torn tail is told from damage. Throws Error: kUnavailable on a full
  // disk, else kInternal with a detail that names the file.
  explicit Database(const RocksDbOptions& options);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Keeps the database from being closed under a reader.
  class Access {
   public:
    // With `wait` it blocks while the database is being reopened. Throws kUnavailable where it
    // could not be opened again.
    Access(const Database& database, bool wait);
    // False without `wait`, when it would have had to.
    bool granted() const { return lock_.owns_lock(); }

   private:
    std::shared_lock<std::shared_mutex> lock_;
  };

  // Closes and opens again: what heals RocksDB after an I/O error, whichever it was, because all
  // that was acknowledged is in synced files. First makes sure that the disk takes writes. Throws
  // as the constructor does.
  void reopen();
  // A flush or compaction has failed with an I/O error, which reopening may heal.
  bool background_error() const { return background_error_->load(); }

  rocksdb::DB& db() const { return *db_; }
  rocksdb::ColumnFamilyHandle* conversations() const { return conversations_; }
  rocksdb::ColumnFamilyHandle* messages() const { return messages_; }
  rocksdb::ColumnFamilyHandle* derived() const { return derived_; }

  // Free bytes of the volume; the largest number where that cannot be told.
  std::uint64_t free_disk_bytes() const;
  // Did the last write that failed find no space?
  bool out_of_space() const { return files_->out_of_space(); }
  // Sum of the sizes of the database's files.
  std::uint64_t used_disk_bytes() const;

 private:
  void close();
  void open_files();
  void check_format();
  // The names of the table files that cannot be opened.
  std::string damaged_tables() const;

  void open();
  void check_writable();

  const RocksDbOptions options_;
  const std::string path_;
  const FolderLock folder_lock_;  // before anything in the folder is read
  std::shared_ptr<std::atomic<bool>> background_error_ = std::make_shared<std::atomic<bool>>(false);
  std::shared_ptr<rocksdb::Cache> cache_;
  // Held while reopening; readers that may wait pass through it, so that the lock below is not
  // starved by them.
  mutable std::mutex gate_;
  mutable std::shared_mutex access_;
  std::atomic<bool> reopening_{false};
  std::shared_ptr<TrackedFiles> files_;
  std::unique_ptr<rocksdb::Env> env_;
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;
  rocksdb::ColumnFamilyHandle* conversations_ = nullptr;
  rocksdb::ColumnFamilyHandle* messages_ = nullptr;
  rocksdb::ColumnFamilyHandle* derived_ = nullptr;
};

}  // namespace colloquy::store
