#include "store/rocksdb/database.h"

#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/table.h>

#include <chrono>
#include <filesystem>
#include <limits>
#include <thread>

#include "base/clock.h"
#include "base/file_descriptor.h"
#include "store/rocksdb/keys.h"
#include "store/rocksdb/log_check.h"
#include "store/rocksdb/status.h"
#include "store/rocksdb/value_codec.h"
#include "telemetry/log.h"

namespace colloquy::store {
namespace {

constexpr double kBloomBitsPerKey = 10;
constexpr std::size_t kBlockBytes = 16 * limits::kKiB;
constexpr std::uint64_t kLogBytes = 256 * limits::kMiB;
// Never reached: RocksDB puts logs aside that it has no use for, and deletes none of them.
constexpr std::uint64_t kKeptLogMegabytes = std::uint64_t{1} << 30U;

// Who reads the database lets go at once; a backup's copy does when its target answers.
constexpr auto kReopenPatience = std::chrono::milliseconds(5'000);
constexpr auto kShortPatience = std::chrono::milliseconds(200);
constexpr auto kReopenPause = std::chrono::milliseconds(2);

bool lock_within(std::unique_lock<std::shared_mutex>& lock, std::chrono::milliseconds patience) {
  const auto give_up = std::chrono::steady_clock::now() + patience;
  while (!lock.try_lock()) {
    if (std::chrono::steady_clock::now() >= give_up) return false;
    std::this_thread::sleep_for(kReopenPause);
  }
  return true;
}

rocksdb::DBOptions database_options(const RocksDbOptions& options, rocksdb::Env* env) {
  rocksdb::DBOptions out;
  out.env = env;
  out.create_if_missing = true;
  out.create_missing_column_families = true;
  out.paranoid_checks = true;
  // The log is checked by log_check.h first; what is left to tolerate here is nothing.
  out.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  out.track_and_verify_wals_in_manifest = true;
  out.verify_sst_unique_id_in_manifest = true;
  out.recycle_log_file_num = 0;  // log_check.h relies on it: unwritten sectors are zeros
  out.max_total_wal_size = kLogBytes;
  out.max_open_files = -1;
  out.max_bgerror_resume_count = 0;  // the sweeper reopens instead
  out.db_write_buffer_size = 2 * options.write_buffer_bytes;
  out.max_background_jobs = 2;
  out.bytes_per_sync = limits::kMiB;
  out.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  out.keep_log_file_num = 4;
  out.max_log_file_size = 4 * limits::kMiB;
  out.stats_dump_period_sec = 0;
  out.stats_persist_period_sec = 0;
  return out;
}

rocksdb::ColumnFamilyOptions family_options(const RocksDbOptions& options,
                                            const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.block_size = kBlockBytes;
  table.format_version = 5;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kBloomBitsPerKey));
  table.whole_key_filtering = true;
  table.cache_index_and_filter_blocks = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  rocksdb::ColumnFamilyOptions out;
  out.write_buffer_size = options.write_buffer_bytes;
  out.compression = rocksdb::kLZ4Compression;
  out.bottommost_compression = rocksdb::kZSTD;
  out.level_compaction_dynamic_level_bytes = true;
  out.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return out;
}

std::uint64_t bytes_in(const std::string& folder) {
  std::uint64_t sum = 0;
  std::error_code ignored;  // files come and go while they are counted
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    auto size = entry.file_size(ignored);
    if (!ignored) sum += size;
  }
  return sum;
}

// Notes the errors of flushes and compactions.
class BackgroundErrors final : public rocksdb::EventListener {
 public:
  explicit BackgroundErrors(std::shared_ptr<std::atomic<bool>> seen) : seen_(std::move(seen)) {}
  void OnBackgroundError(rocksdb::BackgroundErrorReason /*reason*/,
                         rocksdb::Status* status) override {
    telemetry::log_error("store.background_error", {{"detail", status->ToString()}});
    if (status->IsIOError()) *seen_ = true;
  }

 private:
  std::shared_ptr<std::atomic<bool>> seen_;
};

}  // namespace

Database::Access::Access(const Database& database, bool wait)
    : lock_(database.access_, std::defer_lock) {
  if (wait) {
    std::scoped_lock gate(database.gate_);
    lock_.lock();
  } else if (database.reopening_ || !lock_.try_lock()) {
    return;
  }
  if (!database.db_) throw unavailable("The store cannot be reached right now.", "not open");
}

Database::Database(const RocksDbOptions& options)
    : options_(options),
      path_(options.path),
      folder_lock_(options.path),
      cache_(rocksdb::NewLRUCache(options.block_cache_bytes)) {
  auto target = options.file_system ? options.file_system : rocksdb::FileSystem::Default();
  files_ = std::make_shared<TrackedFiles>(target);
  env_ = rocksdb::NewCompositeEnv(files_);
  open();
  // A new folder survives the loss of power only once its parent is synced.
  sync_folder(std::filesystem::absolute(path_).parent_path());
}

void Database::open() {
  try {
    check_logs(*files_, path_);
    open_files();
    opened_sequence_ = db_->GetLatestSequenceNumber();
    check_format();
    make_lineage();
  } catch (const Error& error) {
    close();
    if (out_of_space()) throw disk_full(error.detail());
    throw internal_error(error.detail() + " (opening " + path_ +
                         ", last log read: " + files_->last_read() + damaged_tables() + ")");
  }
  *background_error_ = false;
}

void Database::check_writable() {
  constexpr std::size_t kProbeBytes = limits::kMiB;
  auto probe = path_ + "/probe.dbtmp";
  auto status =
      rocksdb::WriteStringToFile(files_.get(), std::string(kProbeBytes, 'x'), probe, true);
  files_->DeleteFile(probe, rocksdb::IOOptions(), nullptr).PermitUncheckedError();
  check(status, "trying whether the disk takes writes");
  if (!db_) return;
  // Opening writes what is only in the logs into tables. If it found no room for that, there would
  // be no database to read from either.
  std::uint64_t unflushed_bytes = 0;
  db_->GetAggregatedIntProperty(rocksdb::DB::Properties::kCurSizeAllMemTables, &unflushed_bytes);
  if (free_disk_bytes() < unflushed_bytes + kProbeBytes) {
    throw disk_full("less free room than opening the database again takes");
  }
}

void Database::reopen() {
  // While the disk refuses writes the database stays open, and can be read.
  check_writable();
  std::scoped_lock gate(gate_);
  reopening_ = true;
  {
    std::scoped_lock holders(holders_mutex_);
    for (auto* holder : holders_) holder->interrupt();
  }
  {
    std::unique_lock lock(access_, std::defer_lock);
    if (!lock_within(lock, reopen_patience_)) {
      reopen_patience_ = kShortPatience;
      reopening_ = false;
      throw unavailable("The store cannot be reached right now.",
                        "a backup holds the database open and does not let go");
    }
    reopen_patience_ = kReopenPatience;
    {
      std::scoped_lock holders(holders_mutex_);
      for (auto* holder : holders_) holder->let_go();
    }
    try {
      close();
      open();
    } catch (...) {
      reopening_ = false;
      throw;
    }
  }
  reopening_ = false;
}

Database::~Database() {
  close();
  if (!drops_kept_logs_) return;
  remove_kept_logs();
  // It is the sign for the next opening that they are kept.
  files_->DeleteDir(path_ + "/archive", rocksdb::IOOptions(), nullptr).PermitUncheckedError();
}

void Database::close() {
  if (!db_) return;
  for (auto* handle : handles_) db_->DestroyColumnFamilyHandle(handle);
  handles_.clear();
  auto status = db_->Close();
  if (!status.ok()) telemetry::log_error("store.close_failed", {{"detail", status.ToString()}});
  db_.reset();
}

void Database::open_files() {
  auto family = family_options(options_, cache_);
  auto database = database_options(options_, env_.get());
  if (options_.keep_log || keeps_log_for_another()) database.WAL_size_limit_MB = kKeptLogMegabytes;
  database.listeners.push_back(std::make_shared<BackgroundErrors>(background_error_));
  std::vector<rocksdb::ColumnFamilyDescriptor> families{{rocksdb::kDefaultColumnFamilyName, family},
                                                        {"conversations", family},
                                                        {"messages", family},
                                                        {"derived", family}};
  rocksdb::DB* db = nullptr;
  auto status = rocksdb::DB::Open(database, path_, families, &handles_, &db);
  check(status, "opening the database");
  db_.reset(db);
  conversations_ = handles_[1];
  messages_ = handles_[2];
  derived_ = handles_[3];
}

std::string Database::damaged_tables() const {
  std::string names;
  rocksdb::Options options;
  options.env = env_.get();
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(path_, ignored)) {
    if (entry.path().extension() != ".sst") continue;
    rocksdb::SstFileReader table(options);
    auto status = table.Open(entry.path().string());
    if (status.ok()) continue;
    names += ", damaged table: " + entry.path().string() + " (" + status.ToString() + ")";
  }
  return names;
}

void Database::check_format() {
  std::string value;
  auto status = db_->Get(rocksdb::ReadOptions(), derived_, rocksdb::Slice(keys::kFormat), &value);
  std::uint64_t format = 0;
  if (!status.IsNotFound()) {
    check(status, "reading the format");
    format = decode_format(value);
  }
  // Before anything of the newer format is in it, an older program must refuse it.
  if (format < kDatabaseFormat) {
    value.clear();
    encode_format(kDatabaseFormat, value);
    rocksdb::WriteOptions durable;
    durable.sync = true;
    check(db_->Put(durable, derived_, rocksdb::Slice(keys::kFormat), value), "writing the format");
  }
  if (format > kDatabaseFormat) {
    throw internal_error("the database has format " + std::to_string(format) +
                         " and this program reads up to " + std::to_string(kDatabaseFormat));
  }
}

Uuid Database::lineage() const {
  std::string value;
  auto status = db_->Get(rocksdb::ReadOptions(), derived_, rocksdb::Slice(keys::kLineage), &value);
  check(status, "reading the lineage");
  auto lineage = Uuid::from_bytes(value);
  if (!lineage) throw internal_error("the lineage is garbled");
  return *lineage;
}

void Database::set_lineage(const Uuid& lineage) {
  rocksdb::WriteOptions durable;
  durable.sync = true;
  auto raw = lineage.raw();
  check(db_->Put(durable, derived_, rocksdb::Slice(keys::kLineage),
                 rocksdb::Slice(raw.data(), raw.size())),
        "writing the lineage");
}

void Database::make_lineage() {
  std::string value;
  auto status = db_->Get(rocksdb::ReadOptions(), derived_, rocksdb::Slice(keys::kLineage), &value);
  if (!status.IsNotFound()) return check(status, "reading the lineage");
  set_lineage(RandomIdSource().next(SystemClock().now_ms()));
}

// RocksDB makes the archive's folder where it keeps the log.
bool Database::keeps_log_for_another() const {
  return files_->FileExists(path_ + "/archive", rocksdb::IOOptions(), nullptr).ok();
}

void Database::drop_kept_logs() {
  if (options_.keep_log) return;
  drops_kept_logs_ = true;
  remove_kept_logs();
}

void Database::drop_more_kept_logs() {
  if (drops_kept_logs_) remove_kept_logs();
}

void Database::remove_kept_logs() {
  std::vector<std::string> names;
  const rocksdb::IOOptions options;
  auto archive = path_ + "/archive";
  if (!files_->FileExists(archive, options, nullptr).ok()) return;
  files_->GetChildren(archive, options, &names, nullptr).PermitUncheckedError();
  for (const auto& name : names) {
    if (!name.ends_with(".log")) continue;
    files_->DeleteFile(archive + "/" + name, options, nullptr).PermitUncheckedError();
  }
}

void Database::add_holder(Holder& holder) {
  std::scoped_lock lock(holders_mutex_);
  holders_.push_back(&holder);
}

void Database::remove_holder(Holder& holder) {
  std::scoped_lock lock(holders_mutex_);
  std::erase(holders_, &holder);
}

std::uint64_t Database::free_disk_bytes() const {
  std::uint64_t free = 0;
  auto status = files_->GetFreeSpace(path_, rocksdb::IOOptions(), &free, nullptr);
  return status.ok() ? free : std::numeric_limits<std::uint64_t>::max();
}

std::uint64_t Database::kept_log_bytes() const { return bytes_in(path_ + "/archive"); }

std::uint64_t Database::used_disk_bytes() const { return bytes_in(path_) + kept_log_bytes(); }

}  // namespace colloquy::store
