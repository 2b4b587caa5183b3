// The thread in the background: looks at the free room of the disk, heals the
// writer when commits have failed, and carries out what is due: the messages of
// deleted conversations, conversations that have expired, idempotency records that
// are past their time. It writes through the Writer, in bounded pieces, and removes no more in each
// round than its rate allows. What is damaged is logged and left as it is. After the retention has
// changed it first puts all conversations into the expiry index.
//
// Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "store/rocksdb/database.h"
#include "store/rocksdb/writer.h"

namespace colloquy::store {

class Sweeper {
 public:
  // Looks at the disk once before it returns, then every `options.sweep_interval`.
  Sweeper(Database& database, Writer& writer, Clock& clock, const RocksDbOptions& options,
          telemetry::Metrics& metrics);
  // Waits for the piece that is under way.
  ~Sweeper();

  bool disk_full() const { return disk_full_.load(std::memory_order_relaxed); }
  std::uint64_t disk_bytes() const { return disk_bytes_.load(std::memory_order_relaxed); }

  // One whole round, on the calling thread, at any rate.
  void sweep_now();

 private:
  void run();
  // Removes at most so many rows, and forgets as many keys of idempotency.
  void round(std::size_t removed_most);
  void look_at_disk();
  void look_at_retention();
  void index_for_retention(std::size_t looked_at_most, std::size_t indexed_most);
  // One failing does not keep the round from what comes after it.
  void attempt(void (Sweeper::*part)());
  void index_some();
  bool is_to_be_indexed(const rocksdb::Iterator& at);
  // A record, or an index entry of one, that cannot be read, by its key. Logged once.
  void note_damaged(const std::string& key);
  void sweep_purges();
  void sweep_purge(const std::string& key);
  void sweep_expired_conversations();
  void sweep_idempotency();
  // Up to `limit` keys from `begin` to before `end`.
  std::vector<std::string> keys_between(rocksdb::ColumnFamilyHandle* family,
                                        const std::string& begin, const std::string& end,
                                        std::size_t limit);
  // Makes one, submits it and waits; throws what it threw.
  template <class Operation, class... Arguments>
  std::shared_ptr<Operation> commit_operation(Arguments&&... arguments);
  void tell_expired(const std::vector<std::string>& conversation_keys);
  void measure_lag();
  bool stopping() const { return stopping_.load(std::memory_order_relaxed); }

  Database& database_;
  Writer& writer_;
  Clock& clock_;
  const std::uint64_t min_free_disk_bytes_;
  const std::chrono::milliseconds interval_;
  const std::size_t removed_a_round_;
  const std::function<void(const UserId&, ConversationId)> on_expired_;
  telemetry::Gauge& disk_gauge_;
  telemetry::Counter& expired_;
  telemetry::Counter& purged_;
  telemetry::Gauge& lag_;
  std::atomic<bool> disk_full_{false};
  std::atomic<std::uint64_t> disk_bytes_{0};
  std::atomic<bool> stopping_{false};
  std::mutex round_mutex_;         // one round at a time
  bool indexing_ = false;          // guarded by round_mutex_
  std::string indexed_up_to_;      // a conversation's key; guarded by round_mutex_
  std::size_t may_remove_ = 0;     // in this round; guarded by round_mutex_
  std::size_t may_index_ = 0;      // as well
  std::size_t may_forget_ = 0;     // of keys of idempotency; as well
  std::set<std::string> damaged_;  // guarded by round_mutex_
  std::mutex mutex_;
  std::condition_variable wake_;
  std::thread thread_;
};

}  // namespace colloquy::store
