// The one thread that writes. Takes all operations that wait, runs them against one
// WriteGroup, commits them with one sync and then wakes their waiters, once for
// each event loop.
//
// `submit` may be called from any thread; an Operation's own functions are called
// on the writer's thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/completion.h"
#include "base/error.h"
#include "store/rocksdb/write_group.h"
#include "telemetry/metrics.h"

namespace colloquy::store {

class WriteOperation {
 public:
  virtual ~WriteOperation() = default;
  // Checks, then changes; throws Error only before its first change.
  virtual void apply(WriteGroup& group) = 0;
  // The commit is durable.
  virtual void succeed(WakeList& wakes) = 0;
  virtual void fail(std::exception_ptr error, WakeList& wakes) = 0;
  // What it holds in memory while it waits.
  virtual std::size_t bytes() const { return 256; }
};

// One that a coroutine awaits.
template <class Result>
class AwaitedOperation : public WriteOperation {
 public:
  Task<Result> wait() { return completion_.wait(); }
  void succeed(WakeList& wakes) final { completion_.set_value(wakes, std::move(*result_)); }
  void fail(std::exception_ptr error, WakeList& wakes) final {
    completion_.set_error(wakes, std::move(error));
  }

 protected:
  void set_result(Result result) { result_.emplace(std::move(result)); }

 private:
  Completion<Result> completion_;
  std::optional<Result> result_;
};

class Writer {
 public:
  struct Limits {
    std::size_t operations = 0;
    std::size_t bytes = 0;
  };

  Writer(Database& database, Clock& clock, IdSource& ids, Uuid instance, Limits limits,
         telemetry::Metrics& metrics);
  // Commits what is queued.
  ~Writer();

  // Throws kUnavailable when the queue is full.
  void submit(std::shared_ptr<WriteOperation> operation);

  std::uint64_t conversations() const { return conversations_.load(std::memory_order_relaxed); }
  std::uint64_t messages() const { return messages_.load(std::memory_order_relaxed); }
  // The time of the last commit, before which none comes, whatever the clock says.
  std::int64_t last_commit_ms() const { return last_commit_ms_.load(std::memory_order_relaxed); }

  // Why commits fail, since one has; empty while they do not.
  std::string broken_reason() const;
  bool broken() const { return broken_.load(std::memory_order_relaxed); }
  // If commits fail, or something in the background did, opens the database again. Blocks until
  // that has succeeded or failed.
  void try_to_heal();

 private:
  using Operations = std::vector<std::shared_ptr<WriteOperation>>;

  void run();
  bool take(Operations& group);
  void process(const Operations& group);
  // Why each operation was refused; null where it was not.
  std::vector<std::exception_ptr> apply_all(const Operations& group);
  // Why the whole group failed; nullopt when it did not.
  std::optional<Error> commit(const Operations& group, std::vector<std::exception_ptr>& refusals);
  rocksdb::Status write();
  void heal();
  void set_broken(const rocksdb::Status& status);
  void publish_counters();

  Database& database_;
  Clock& clock_;
  const Limits limits_;
  WriteGroup group_;  // the writer's thread only, once it has started
  telemetry::Counter& commits_;
  telemetry::Histogram& commit_rows_;
  telemetry::Histogram& commit_seconds_;
  telemetry::Gauge& conversations_gauge_;
  telemetry::Gauge& messages_gauge_;
  std::atomic<std::uint64_t> conversations_{0};
  std::atomic<std::uint64_t> messages_{0};
  std::atomic<std::int64_t> last_commit_ms_{0};

  std::mutex mutex_;
  std::condition_variable work_;
  Operations queue_;              // guarded by mutex_
  std::size_t queued_bytes_ = 0;  // guarded by mutex_; of what is queued
  bool idle_ = false;             // guarded by mutex_
  bool heal_requested_ = false;   // guarded by mutex_
  std::condition_variable healed_;
  bool stopping_ = false;  // guarded by mutex_

  mutable std::mutex broken_mutex_;
  std::string broken_reason_;    // guarded by broken_mutex_
  bool beyond_healing_ = false;  // guarded by broken_mutex_; damage, which reopening does not mend
  std::atomic<bool> broken_{false};

  std::thread thread_;  // last: starts when all else is there
};

}  // namespace colloquy::store
