#include "store/rocksdb/backup_source.h"

#include <rocksdb/write_batch.h>

#include <filesystem>
#include <limits>
#include <utility>

#include "store/rocksdb/erase_operations.h"
#include "store/rocksdb/keys.h"
#include "store/rocksdb/status.h"
#include "store/rocksdb/value_codec.h"

namespace colloquy::store {
namespace {

// Finds the time that WriteGroup puts into a batch.
class TimeReader final : public rocksdb::WriteBatch::Handler {
 public:
  rocksdb::Status PutCF(std::uint32_t /*family*/, const rocksdb::Slice& /*key*/,
                        const rocksdb::Slice& /*value*/) override {
    return rocksdb::Status::OK();
  }
  rocksdb::Status DeleteCF(std::uint32_t /*family*/, const rocksdb::Slice& /*key*/) override {
    return rocksdb::Status::OK();
  }
  rocksdb::Status SingleDeleteCF(std::uint32_t /*family*/, const rocksdb::Slice& /*key*/) override {
    return rocksdb::Status::OK();
  }
  rocksdb::Status DeleteRangeCF(std::uint32_t /*family*/, const rocksdb::Slice& /*begin*/,
                                const rocksdb::Slice& /*end*/) override {
    return rocksdb::Status::OK();
  }
  void LogData(const rocksdb::Slice& blob) override {
    if (blob.size() != sizeof(std::uint64_t)) return;
    std::uint64_t time = 0;
    for (std::size_t i = 0; i < blob.size(); ++i) {
      time = time << 8U | static_cast<std::uint8_t>(blob[i]);
    }
    time_ms_ = static_cast<std::int64_t>(time);
  }
  std::int64_t time_ms() const { return time_ms_; }

 private:
  std::int64_t time_ms_ = 0;
};

Commit commit_of(rocksdb::BatchResult result) {
  TimeReader time;
  check(result.writeBatchPtr->Iterate(&time), "reading a commit of the log");
  return {result.sequence, static_cast<std::uint32_t>(result.writeBatchPtr->Count()),
          time.time_ms(), result.writeBatchPtr->Data()};
}

RocksDbOptions offline_options(const std::string& folder) {
  if (!std::filesystem::exists(std::filesystem::path(folder) / "CURRENT")) {
    throw Error(ErrorCode::kInvalid, "There is no store in " + folder + ".");
  }
  RocksDbOptions options;
  options.path = folder;
  options.block_cache_bytes = 64 * limits::kMiB;
  options.keep_log = true;
  return options;
}

}  // namespace

BackupSource::BackupSource(Database& database) : database_(database) {
  database_.add_holder(*this);
}

BackupSource::BackupSource(std::unique_ptr<Database> own) : own_(std::move(own)), database_(*own_) {
  database_.add_holder(*this);
}

std::unique_ptr<BackupSource> BackupSource::open(const std::string& folder) {
  return std::unique_ptr<BackupSource>(
      new BackupSource(std::make_unique<Database>(offline_options(folder))));
}

BackupSource::~BackupSource() {
  database_.remove_holder(*this);
  tail_.reset();
}

Uuid BackupSource::lineage() const {
  Database::Access access(database_, true);
  return database_.lineage();
}

void BackupSource::set_lineage(const Uuid& lineage) {
  Database::Access access(database_, true);
  database_.set_lineage(lineage);
}

std::uint64_t BackupSource::newest_sequence() const {
  Database::Access access(database_, true);
  return database_.db().GetLatestSequenceNumber();
}

std::vector<ErasedUser> BackupSource::erased_users() const {
  Database::Access access(database_, true);
  return store::erased_users(database_, {}, std::numeric_limits<std::size_t>::max());
}

std::vector<UserId> BackupSource::erasing_users() const {
  Database::Access access(database_, true);
  return store::erasing_users(database_);
}

std::int64_t BackupSource::newest_commit_ms() const {
  Database::Access access(database_, true);
  std::string value;
  auto status = database_.db().Get(rocksdb::ReadOptions(), database_.derived(),
                                   rocksdb::Slice(keys::kCounters), &value);
  if (status.IsNotFound()) return 0;
  check(status, "reading the time of the last commit");
  return decode_counters(value).last_commit_ms;
}

bool BackupSource::move_to(std::uint64_t sequence) {
  if (tail_ && tail_next_ == sequence) {
    if (tail_used_) tail_->Next();
    tail_used_ = false;
    if (tail_->Valid()) return true;
    // At the end of the file that it has; there may be another.
  }
  tail_.reset();
  auto status = database_.db().GetUpdatesSince(sequence, &tail_);
  if (!status.ok() || !tail_ || !tail_->Valid()) {
    if (status.ok() && tail_) status = tail_->status();
    tail_.reset();
    // RocksDB says NotFound or Corruption when the log begins later, and an I/O error of a file
    // that it could not read.
    if (status.IsIOError() && !status.IsPathNotFound()) check(status, "reading the log");
    return false;
  }
  tail_next_ = sequence;
  tail_used_ = false;
  return true;
}

BackupSource::Piece BackupSource::read(std::uint64_t sequence, std::size_t most_bytes) {
  Database::Access access(database_, true);
  Piece piece;
  std::size_t bytes = 0;
  while (bytes < most_bytes && sequence <= database_.db().GetLatestSequenceNumber()) {
    if (!move_to(sequence)) {
      piece.gone = piece.commits.empty();
      return piece;
    }
    // Until it is known to have been taken well: GetBatch gives each once, and then nothing.
    tail_next_ = 0;
    auto commit = commit_of(tail_->GetBatch());
    if (commit.sequence != sequence || commit.rows == 0) {
      tail_.reset();
      piece.splits = piece.commits.empty() && commit.sequence < sequence;
      piece.gone = piece.commits.empty() && !piece.splits;
      return piece;
    }
    sequence = commit.last_sequence() + 1;
    tail_next_ = sequence;
    tail_used_ = true;
    bytes += commit.batch.size();
    piece.commits.push_back(std::move(commit));
  }
  return piece;
}

std::optional<Commit> BackupSource::commit_with(std::uint64_t sequence) const {
  Database::Access access(database_, true);
  if (sequence == 0 || sequence > database_.db().GetLatestSequenceNumber()) return std::nullopt;
  std::unique_ptr<rocksdb::TransactionLogIterator> at;
  auto status = database_.db().GetUpdatesSince(sequence, &at);
  if (!status.ok() || !at || !at->Valid()) return std::nullopt;
  auto commit = commit_of(at->GetBatch());
  if (commit.rows == 0 || commit.sequence > sequence || commit.last_sequence() < sequence) {
    return std::nullopt;
  }
  return commit;
}

void BackupSource::delete_logs_before(std::optional<std::uint64_t> sequence) {
  Database::Access access(database_, true);
  rocksdb::VectorLogPtr logs;
  check(database_.db().GetSortedWalFiles(logs), "listing the logs");
  for (std::size_t i = 0; i < logs.size(); ++i) {
    if (logs[i]->Type() != rocksdb::kArchivedLogFile) continue;
    if (sequence && (i + 1 == logs.size() || logs[i + 1]->StartSequence() > *sequence)) continue;
    check(database_.db().DeleteFile(logs[i]->PathName()), "removing a log");
  }
}

void BackupSource::release(std::uint64_t sequence) { delete_logs_before(sequence); }
void BackupSource::release_all() { delete_logs_before(std::nullopt); }

std::uint64_t BackupSource::kept_log_bytes() const { return database_.kept_log_bytes(); }
std::uint64_t BackupSource::free_disk_bytes() const { return database_.free_disk_bytes(); }

BackupSource::Base BackupSource::take_base(const TargetFiles& target, const std::string& folder,
                                           const CopyProgress& progress) {
  BaseEngine engine(target, folder, BaseEngine::Use::kWrite, database_.files());
  struct Running {
    BackupSource& source;
    Running(BackupSource& in, BaseEngine& engine) : source(in) {
      std::scoped_lock lock(source.engine_mutex_);
      if (source.stopped_) throw unavailable("The backup was interrupted.");
      source.engine_ = &engine;
    }
    ~Running() {
      std::scoped_lock lock(source.engine_mutex_);
      source.engine_ = nullptr;
    }
  } running(*this, engine);
  Base base;
  base.from_sequence = newest_sequence();
  base.last = commit_with(base.from_sequence);
  {
    Database::Access access(database_, true);
    auto created = engine.create(database_.db(), progress);
    base.id = created.id;
    base.bytes = created.bytes;
  }
  auto held = engine.held(base.id);
  if (held.sequence < base.from_sequence) {
    throw internal_error("base " + std::to_string(base.id) + " in " + folder +
                         " does not hold all that was committed before it");
  }
  base.until_sequence = held.sequence;
  base.time_ms = held.last_commit_ms;
  return base;
}

void BackupSource::stop() {
  std::scoped_lock lock(engine_mutex_);
  stopped_ = true;
  if (engine_ != nullptr) engine_->stop();
}

void BackupSource::interrupt() {
  std::scoped_lock lock(engine_mutex_);
  if (engine_ != nullptr) engine_->stop();
}

void BackupSource::let_go() { tail_.reset(); }

}  // namespace colloquy::store
