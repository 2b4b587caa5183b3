// Keeps a backup of a running store up to date, on threads of its own: one ships
// every so often, one sees to it that the log does not fill the disk when the
// target hangs. Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "backup/shipper.h"

namespace colloquy::backup {

// What one backup has come to.
struct BackedUp {
  Uuid lineage;
  std::int64_t shipped_ms = 0;
};

class ContinuousBackup {
 public:
  // `clock`, `ids` and `metrics` outlive it.
  ContinuousBackup(std::unique_ptr<store::BackupSource> source, store::TargetFiles files,
                   Clock& clock, IdSource& ids, telemetry::Metrics& metrics, ShipperOptions options,
                   std::chrono::milliseconds every);
  ~ContinuousBackup();

  const std::string& target() const { return options_.target; }

  // Ships everything that is committed before the call, and takes a base; what is committed
  // meanwhile is shipped too. Blocks; throws Error.
  BackedUp run_now(const store::CopyProgress& progress);

  // Puts a user on the target's list of the erased; throws kUnavailable while the target is out.
  // Blocks.
  void note_erased(const store::ErasedUser& erased) { shipper_.note_erased({erased}); }
  // The same of one whose erasure has begun and cannot end meanwhile: restores as of before leave
  // the user out.
  void note_erasing(const UserId& user) {
    shipper_.note_erased({{store::erased_name(user), source_->newest_commit_ms()}});
  }

  // Ships what is left, and ends. False when that takes too long: then this must stay, and what it
  // refers to.
  bool stop(std::chrono::milliseconds patience);

 private:
  // One that waits for a base.
  class Request {
   public:
    explicit Request(store::CopyProgress progress) : progress_(std::move(progress)) {}
    // On the thread of the base; nothing once it is answered.
    void tell(std::uint64_t done, std::uint64_t expected);
    void succeed(const BackedUp& result);
    void fail(std::exception_ptr failure);
    std::future<BackedUp> result() { return result_.get_future(); }

   private:
    void close();

    std::mutex mutex_;
    store::CopyProgress progress_;  // guarded by mutex_
    std::promise<BackedUp> result_;
  };
  using Requests = std::vector<std::shared_ptr<Request>>;

  ShipperOptions telling(ShipperOptions options);
  void run();
  void guard();
  // One round; what it fails with is told and counted.
  std::exception_ptr round(bool last);
  void want_base();
  void answer(const std::exception_ptr& round_failure);
  void fail_requests(const std::exception_ptr& failure);
  void note_success(std::int64_t begun_ms);
  void note_failure(const std::exception_ptr& failure);

  std::mutex mutex_;
  std::condition_variable wake_;
  Requests requests_;        // guarded by mutex_
  bool base_ended_ = false;  // guarded by mutex_
  bool stopping_ = false;    // guarded by mutex_
  bool stopped_ = false;     // guarded by mutex_
  std::condition_variable ended_;

  const ShipperOptions options_;
  const std::chrono::milliseconds every_;
  Clock& clock_;
  const std::unique_ptr<store::BackupSource> source_;
  ShipperMetrics metrics_;
  telemetry::Counter& failures_;
  Shipper shipper_;  // of the thread that ships; its base's thread wakes that one

  // Everything that was committed before can be restored. Shared with the metrics' hook, which may
  // outlive this.
  std::shared_ptr<std::atomic<std::int64_t>> caught_up_ms_;
  // Of the thread that ships.
  Requests waiting_;    // for a base that is to be begun
  Requests answering_;  // for the one that has been ordered
  bool failing_ = false;
  std::int64_t last_told_ms_ = 0;
  bool superseded_ = false;  // another server ships here

  std::thread shipping_;
  std::thread guarding_;
};

}  // namespace colloquy::backup
