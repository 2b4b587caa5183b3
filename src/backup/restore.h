// Makes a data folder as a database was at a second of its past.
//
// While it goes on there is DATA/restoring and no DATA/store, and neither a server
// nor another command takes the folder; one that was killed is begun again by
// restoring into the same folder, which may have token.key and files/ by then.
// Blocks; for one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backup/erased_list.h"
#include "backup/target.h"
#include "base/clock.h"
#include "base/ids.h"

namespace colloquy::backup {

struct RestoreRequest {
  std::string target;
  std::string data;                   // not there, empty, or left by a restore that was killed
  std::optional<Uuid> lineage;        // needed where more than one could be meant
  std::optional<std::int64_t> at_ms;  // the last commit at or before it; nullopt: the last of all
  bool keep_expired = false;          // what was there then and has expired since never expires
  // Of the servers, for keep_expired; 0: none; nullopt: as the store has it.
  std::optional<std::int64_t> retention_seconds;
  std::function<bool(const UserId&)> leave_out;  // users; null: none
  ErasedList erased;  // of these, who was erased after the last commit that is restored
  std::optional<UserId> titles_of;  // a user whose conversations' titles are asked for
  // What is being done, and how far it has come; null: nobody wants to know.
  std::function<void(const std::string& phase, std::uint64_t done, std::uint64_t expected)>
      progress;
  // Of the data folder; null: the operating system's.
  std::shared_ptr<rocksdb::FileSystem> data_files;
};

struct Restored {
  Uuid lineage;                     // that it was taken from
  std::int64_t last_commit_ms = 0;  // 0: there was none
  std::uint64_t conversations = 0;
  std::uint64_t messages = 0;
  // What is damaged or missing. Without `complete` the folder is as the database was at
  // last_commit_ms, and what came later is not to be had.
  std::vector<std::string> problems;
  // Commits up to the moment that was asked for that nobody has shipped; no damage.
  std::vector<std::string> gaps;
  bool complete = true;
  std::int64_t caught_up_ms = 0;  // the target has all that was committed by then; 0: it never said
  bool never_shipped = false;     // that is before the moment that was asked for
  std::vector<std::string> titles;  // where they were asked for
};

// Throws Error: kInvalid for a folder that is not empty, a moment before everything that the backup
// has, or where the lineage must be named; kUnavailable and kInternal when it cannot be done.
Restored restore(const RestoreRequest& request, const store::TargetFiles& target_files,
                 const Clock& clock, IdSource& ids);

// Throws kInvalid for a data folder whose restore has not ended.
void require_restored(const std::string& data);

}  // namespace colloquy::backup
