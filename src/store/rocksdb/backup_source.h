// What a backup reads of the embedded store: its commits in order from the log, and
// copies of all of it. Works beside the writer, and holds nothing up but a
// `reopen` of the database, which it makes way for.
//
// `read` belongs to one thread; the others may be called from any. All block on the
// disk, and throw Error (status.h).
#pragma once

#include <rocksdb/transaction_log.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "store/erasure.h"
#include "store/rocksdb/base_engine.h"
#include "store/rocksdb/commit.h"
#include "store/rocksdb/database.h"

namespace colloquy::store {

class BackupSource final : private Database::Holder {
 public:
  explicit BackupSource(Database& database);
  // Of a store that no server has open. `folder` is the store's own. Throws kInvalid where there is
  // none or another process has it open.
  static std::unique_ptr<BackupSource> open(const std::string& folder);
  ~BackupSource() override;
  BackupSource(const BackupSource&) = delete;
  BackupSource& operator=(const BackupSource&) = delete;

  // Which history this database is a part of.
  Uuid lineage() const;
  // From now on it is another one.
  void set_lineage(const Uuid& lineage);
  // Of the last row that is committed.
  std::uint64_t newest_sequence() const;
  std::int64_t newest_commit_ms() const;
  // All of the list (store/erasure.h).
  std::vector<ErasedUser> erased_users() const;
  // Whose erasure has not ended.
  std::vector<UserId> erasing_users() const;

  struct Piece {
    std::vector<Commit> commits;
    bool gone = false;    // the log has what is newer, but no longer the commit that was asked for
    bool splits = false;  // a commit has that sequence, and does not begin with it
  };
  // The commits from the one whose first row has `sequence`: as many as there are, until they have
  // `most_bytes`.
  Piece read(std::uint64_t sequence, std::size_t most_bytes);

  // The commit that has the row of `sequence`; nullopt where the log does not have it. Any thread.
  std::optional<Commit> commit_with(std::uint64_t sequence) const;

  // The logs that hold only what is older than the commit of `sequence` may go.
  void release(std::uint64_t sequence);
  // All that is not live may go: whoever has not read it never will.
  void release_all();
  // Bytes of logs that are there for `read` alone.
  std::uint64_t kept_log_bytes() const;
  // Of the volume that the database is on.
  std::uint64_t free_disk_bytes() const;

  struct Base {
    std::uint32_t id = 0;
    std::uint64_t bytes = 0;
    // The database had all up to the first when it was begun; the last row that it holds is the
    // second, of a commit of `time_ms` (0: it holds none).
    std::uint64_t from_sequence = 0;
    std::uint64_t until_sequence = 0;
    std::int64_t time_ms = 0;
    std::optional<Commit> last;  // that `from_sequence` is of; nullopt: the log no longer has it
  };
  Base take_base(const TargetFiles& target, const std::string& folder,
                 const CopyProgress& progress);
  // Ends a take_base that goes on, and every later one: they throw kUnavailable.
  void stop();

 private:
  explicit BackupSource(std::unique_ptr<Database> own);
  void interrupt() override;
  void let_go() override;
  void delete_logs_before(std::optional<std::uint64_t> sequence);
  // False when the log has nothing there.
  bool move_to(std::uint64_t sequence);

  std::unique_ptr<Database> own_;
  Database& database_;
  // Of `read`; and of let_go, which is called when nobody reads.
  std::unique_ptr<rocksdb::TransactionLogIterator> tail_;
  std::uint64_t tail_next_ = 0;  // the sequence of what `tail_` gives next
  bool tail_used_ = false;       // what it stands at has been given

  std::mutex engine_mutex_;
  BaseEngine* engine_ = nullptr;  // guarded by engine_mutex_; while take_base goes on
  bool stopped_ = false;          // guarded by engine_mutex_
};

}  // namespace colloquy::store
