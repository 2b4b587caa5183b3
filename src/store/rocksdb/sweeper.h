// The thread in the background: looks at the free room of the disk, heals the
// writer when commits have failed, and carries out what is due: the messages of
// deleted conversations, conversations that have expired, idempotency records that
// are past their time. It writes through the Writer, in bounded pieces.
//
// Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "store/rocksdb/database.h"
#include "store/rocksdb/writer.h"

namespace colloquy::store {

class Sweeper {
 public:
  // Looks at the disk once before it returns, then every `interval`.
  Sweeper(Database& database, Writer& writer, Clock& clock, std::uint64_t min_free_disk_bytes,
          std::chrono::milliseconds interval, telemetry::Metrics& metrics);
  // Waits for the piece that is under way.
  ~Sweeper();

  bool disk_full() const { return disk_full_.load(std::memory_order_relaxed); }
  std::uint64_t disk_bytes() const { return disk_bytes_.load(std::memory_order_relaxed); }

  // One whole round, on the calling thread.
  void sweep_now();

 private:
  void run();
  void round();
  void look_at_disk();
  void sweep_purges();
  void sweep_expired_conversations();
  void sweep_idempotency();
  // Up to `limit` keys from `begin` to before `end`.
  std::vector<std::string> keys_between(rocksdb::ColumnFamilyHandle* family,
                                        const std::string& begin, const std::string& end,
                                        std::size_t limit);
  // Makes one, submits it and waits; throws what it threw.
  template <class Operation, class... Arguments>
  void commit_operation(Arguments&&... arguments);
  bool stopping() const { return stopping_.load(std::memory_order_relaxed); }

  Database& database_;
  Writer& writer_;
  Clock& clock_;
  const std::uint64_t min_free_disk_bytes_;
  const std::chrono::milliseconds interval_;
  telemetry::Gauge& disk_gauge_;
  std::atomic<bool> disk_full_{false};
  std::atomic<std::uint64_t> disk_bytes_{0};
  std::atomic<bool> stopping_{false};
  std::mutex round_mutex_;  // one round at a time
  std::mutex mutex_;
  std::condition_variable wake_;
  std::thread thread_;
};

}  // namespace colloquy::store
