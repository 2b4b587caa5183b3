// The bases of a backup: RocksDB's BackupEngine on a folder of the target. Bases
// share the table files that they have in common, so each costs what is new.
//
// One writer of a folder at a time; any number may read beside it. `stop` may be
// called from any thread. Errors as in status.h; damage is kInternal and named.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/utilities/backup_engine.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "store/rocksdb/target_files.h"

namespace colloquy::store {

// How many bytes are copied, of how many, as far as that can be told.
using CopyProgress = std::function<void(std::uint64_t done, std::uint64_t expected)>;

class BaseEngine {
 public:
  enum class Use : std::uint8_t { kRead, kWrite };

  // `database_files` reads the database that is backed up, or writes the one that is restored;
  // null: the operating system's.
  BaseEngine(const TargetFiles& target, std::string folder, Use use,
             const std::shared_ptr<rocksdb::FileSystem>& database_files = nullptr);

  struct Created {
    std::uint32_t id = 0;
    std::uint64_t bytes = 0;  // of all its files, shared ones too
  };
  // Copies what the database holds, with all that was committed before the call.
  Created create(rocksdb::DB& database, const CopyProgress& progress);
  // Ends a `create` that goes on, for good: it throws kUnavailable.
  void stop();
  void remove(std::uint32_t id);

  struct Held {
    std::uint64_t sequence = 0;       // of its last row
    std::int64_t last_commit_ms = 0;  // 0: it has none
  };
  // What it holds, by opening it where it lies.
  Held held(std::uint32_t id) const;

  // Of those that are whole, as far as names and sizes tell.
  std::vector<std::uint32_t> ids() const;
  // Reads every byte. Throws where one is not what was written.
  void verify(std::uint32_t id) const;
  // Into a folder of its own, which it empties first.
  void restore(std::uint32_t id, const std::string& folder) const;

 private:
  const rocksdb::BackupEngineReadOnlyBase& reader() const;
  std::uint64_t bytes_to_copy(rocksdb::DB& database) const;

  const TargetFiles target_;
  const std::string folder_;
  std::unique_ptr<rocksdb::Env> target_env_;
  std::unique_ptr<rocksdb::Env> database_env_;
  std::unique_ptr<rocksdb::BackupEngine> engine_;                  // kWrite
  std::unique_ptr<rocksdb::BackupEngineReadOnly> reading_engine_;  // kRead
};

}  // namespace colloquy::store
