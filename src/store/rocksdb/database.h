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
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

#include "base/ids.h"
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

  // Who holds on to the database for longer than a read.
  class Holder {
   public:
    Holder() = default;
    virtual ~Holder() = default;
    Holder(const Holder&) = delete;
    Holder& operator=(const Holder&) = delete;
    // The database is about to be reopened: give up the Access soon. Any thread, at any time.
    virtual void interrupt() = 0;
    // It is about to be closed, and nobody has an Access: destroy what came from it.
    virtual void let_go() = 0;
  };
  void add_holder(Holder& holder);
  void remove_holder(Holder& holder);

  // Closes and opens again: what heals RocksDB after an I/O error, whichever it was, because all
  // that was acknowledged is in synced files. First makes sure that the disk takes writes. Throws
  // as the constructor does, and kUnavailable while a backup does not let go of the database.
  void reopen();
  // A flush or compaction has failed with an I/O error, which reopening may heal.
  bool background_error() const { return background_error_->load(); }

  rocksdb::DB& db() const { return *db_; }
  rocksdb::ColumnFamilyHandle* conversations() const { return conversations_; }
  rocksdb::ColumnFamilyHandle* messages() const { return messages_; }
  rocksdb::ColumnFamilyHandle* derived() const { return derived_; }
  std::shared_ptr<rocksdb::FileSystem> files() const { return files_; }

  // Which history this is a part of: random, made with the folder. Durable when set_lineage
  // returns.
  Uuid lineage() const;
  void set_lineage(const Uuid& lineage);

  // Of the last row that was there when it was opened, before opening wrote any.
  std::uint64_t opened_sequence() const { return opened_sequence_; }

  // Of conversations without a time to live of their own; nullopt: they stay.
  const std::optional<std::int64_t>& retention_seconds() const {
    return options_.retention_seconds;
  }

  // Do commits say what they change (rocksdb_change_feed.h)?
  bool keeps_changes() const { return options_.keep_changes; }

  // Free bytes of the volume; the largest number where that cannot be told.
  std::uint64_t free_disk_bytes() const;
  // Did the last write that failed find no space?
  bool out_of_space() const { return files_->out_of_space(); }
  // Of the logs that are kept for a backup, and hold nothing that the tables do not.
  std::uint64_t kept_log_bytes() const;
  // No backup will read them: they go now, what comes to them goes at drop_more_kept_logs(), and
  // once this is closed none are kept any more. Nothing where this was opened to keep them.
  void drop_kept_logs();
  void drop_more_kept_logs();
  // Sum of the sizes of the database's files.
  std::uint64_t used_disk_bytes() const;

 private:
  void close();
  void open_files();
  void check_format();
  void make_lineage();
  void remove_kept_logs();
  bool keeps_log_for_another() const;
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
  std::atomic<bool> drops_kept_logs_{false};
  std::chrono::milliseconds reopen_patience_{5'000};  // of the thread that reopens
  std::uint64_t opened_sequence_ = 0;
  std::mutex holders_mutex_;
  std::vector<Holder*> holders_;  // guarded by holders_mutex_
  std::shared_ptr<TrackedFiles> files_;
  std::unique_ptr<rocksdb::Env> env_;
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;
  rocksdb::ColumnFamilyHandle* conversations_ = nullptr;
  rocksdb::ColumnFamilyHandle* messages_ = nullptr;
  rocksdb::ColumnFamilyHandle* derived_ = nullptr;
};

}  // namespace colloquy::store
