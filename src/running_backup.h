// The backups of a server: the continuous one of its settings, and those that
// `colloquy backup` asks for.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string>

#include "backup/continuous.h"
#include "backup/control.h"
#include "backup/shipper.h"
#include "base/clock.h"
#include "base/ids.h"
#include "config/config.h"
#include "store/rocksdb/backup_source.h"
#include "store/rocksdb/rocksdb_store.h"
#include "telemetry/metrics.h"

namespace colloquy {

// A base, with all that is committed before the call. Blocks; throws Error.
backup::BackedUp back_up_once(store::BackupSource& source, Clock& clock, IdSource& ids,
                              telemetry::Metrics& metrics, backup::ShipperOptions options,
                              const store::CopyProgress& progress);

// The one path of a folder that may not be there yet: without links, and without a slash at its
// end.
std::string backup_folder(const std::string& path);
// Whether it is that folder, or in it, by whichever path either is named.
bool is_within(const std::string& path, const std::string& folder);
// Throws ConfigError, beginning with `named`, for a target within the data folder, or the reverse.
void require_apart(const std::string& named, const std::string& target, const std::string& data);

// Throws ConfigError for a target that is not apart from the data, or that can never be written:
// a file, say, or a folder of somebody else's. One that is out just now may come. Leaves nothing.
void check_backup_target(const config::ServeConfig& config);

class RunningBackup {
 public:
  // All outlive it. Throws Error when it cannot be asked.
  RunningBackup(const config::ServeConfig& config, store::RocksDbStore& store, Clock& clock,
                IdSource& ids, telemetry::Metrics& metrics);

  // Puts a user on the list of erased ones beside the continuous backup, if there is one. Blocks;
  // any thread. Throws Error: kUnavailable while the target is out.
  void note_erased(const store::ErasedUser& erased) const;
  // The same of one whose erasure has begun and cannot end meanwhile.
  void note_erasing(const UserId& user) const;

  // Ships what is left, within a bound. False when that takes longer: then this and the store must
  // stay.
  bool stop(std::chrono::milliseconds patience);

 private:
  backup::BackedUp run_now(const std::string& target, const store::CopyProgress& progress);

  const config::ServeConfig& config_;
  store::RocksDbStore& store_;
  Clock& clock_;
  IdSource& ids_;
  telemetry::Metrics& metrics_;
  std::mutex asked_mutex_;
  store::BackupSource* asked_ = nullptr;  // guarded by asked_mutex_; of run_now, while it goes on
  bool stopping_ = false;                 // guarded by asked_mutex_
  std::unique_ptr<backup::ContinuousBackup> continuous_;
  std::unique_ptr<backup::ControlServer> control_;  // last: it asks the one above
};

}  // namespace colloquy
