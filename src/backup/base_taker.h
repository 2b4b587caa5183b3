// Takes bases, on a thread of its own where it is told to, so that the log is shipped
// meanwhile. For the thread that ships.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "backup/target.h"
#include "base/clock.h"
#include "base/ids.h"
#include "store/rocksdb/backup_source.h"

namespace colloquy::backup {

class BaseTaker {
 public:
  // What is taken, and for whom.
  struct Order {
    std::string target;
    Uuid lineage;
    std::string owner;  // the mark of who ships there
    store::CopyProgress progress;
    bool wanted = false;  // somebody waits for it
  };
  struct Taken {
    std::optional<BaseRecord> record;
    std::exception_ptr failure;  // instead
    bool wanted = false;
  };

  // All outlive it. `ended` is called on the thread of a base that has come to its end; null:
  // nobody wants to know.
  BaseTaker(store::BackupSource& source, store::TargetFiles files, Clock& clock, IdSource& ids,
            std::function<void()> ended);
  // Ends a base that is being taken.
  ~BaseTaker();
  BaseTaker(const BaseTaker&) = delete;
  BaseTaker& operator=(const BaseTaker&) = delete;

  // Takes one before it returns. Throws Error: kConflict where another server ships there now.
  BaseRecord take(const Order& order);

  void begin(Order order);
  bool running() const { return thread_.joinable(); }
  bool running_wanted() const { return running() && wanted_; }
  // Of the one that was begun, once it has ended; with `wait` it is waited for.
  std::optional<Taken> finish(bool wait);

 private:
  void remove_unrecorded(LineageFolder& folder);

  store::BackupSource& source_;
  const store::TargetFiles files_;
  Clock& clock_;
  IdSource& ids_;
  const std::function<void()> ended_;
  std::thread thread_;
  bool wanted_ = false;

  std::mutex mutex_;
  std::optional<Taken> taken_;  // guarded by mutex_
};

}  // namespace colloquy::backup
