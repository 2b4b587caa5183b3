#include "store/rocksdb/base_engine.h"

#include <rocksdb/db.h>
#include <rocksdb/file_system.h>

#include <algorithm>
#include <cstdarg>
#include <filesystem>
#include <set>
#include <utility>

#include "base/limits.h"
#include "store/rocksdb/keys.h"
#include "store/rocksdb/status.h"
#include "store/rocksdb/value_codec.h"

namespace colloquy::store {
namespace {

constexpr std::uint64_t kProgressBytes = limits::kMiB;
constexpr int kOpenTables = 16;

class NoLog final : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char* /*format*/, va_list /*arguments*/) override {}
};

// "000012.sst" of 345 bytes is shared as "000012_s<session>_345.sst".
std::string shared_name(const std::string& number, const std::string& size) {
  return number + "_" + size;
}

std::set<std::string> shared_tables(const TargetFiles& target, const std::string& folder) {
  std::set<std::string> found;
  for (const auto& name : target.list(folder + "/shared_checksum")) {
    auto first = name.find('_');
    auto last = name.rfind('_');
    if (first == std::string::npos || !name.ends_with(".sst")) continue;
    found.insert(shared_name(name.substr(0, first), name.substr(last + 1, name.size() - last - 5)));
  }
  return found;
}

}  // namespace

BaseEngine::BaseEngine(const TargetFiles& target, std::string folder, Use use,
                       const std::shared_ptr<rocksdb::FileSystem>& database_files)
    : target_(target),
      folder_(std::filesystem::absolute(folder)),  // RocksDB reads a base by nothing else
      target_env_(rocksdb::NewCompositeEnv(target.system())),
      database_env_(rocksdb::NewCompositeEnv(database_files ? database_files
                                                            : rocksdb::FileSystem::Default())) {
  rocksdb::BackupEngineOptions options(folder_, target_env_.get());
  options.callback_trigger_interval_size = kProgressBytes;
  if (use == Use::kWrite) {
    rocksdb::BackupEngine* engine = nullptr;
    check(rocksdb::BackupEngine::Open(options, database_env_.get(), &engine),
          "opening the bases in " + folder_);
    engine_.reset(engine);
  } else {
    rocksdb::BackupEngineReadOnly* engine = nullptr;
    check(rocksdb::BackupEngineReadOnly::Open(options, database_env_.get(), &engine),
          "opening the bases in " + folder_);
    reading_engine_.reset(engine);
  }
}

const rocksdb::BackupEngineReadOnlyBase& BaseEngine::reader() const {
  if (engine_) return *engine_;
  return *reading_engine_;
}

std::uint64_t BaseEngine::bytes_to_copy(rocksdb::DB& database) const {
  auto shared = shared_tables(target_, folder_);
  std::vector<rocksdb::LiveFileMetaData> tables;
  database.GetLiveFilesMetaData(&tables);
  std::uint64_t bytes = 0;
  for (const auto& table : tables) {
    auto number = table.relative_filename.substr(0, table.relative_filename.find('.'));
    if (!shared.contains(shared_name(number, std::to_string(table.size)))) bytes += table.size;
  }
  return bytes;
}

BaseEngine::Created BaseEngine::create(rocksdb::DB& database, const CopyProgress& progress) {
  rocksdb::CreateBackupOptions options;
  options.flush_before_backup = true;
  std::uint64_t done = 0;
  std::uint64_t expected = 0;
  if (progress) {
    // What the flush is about to write counts too.
    database.GetAggregatedIntProperty(rocksdb::DB::Properties::kCurSizeAllMemTables, &expected);
    expected += bytes_to_copy(database);
    progress(0, expected);
    options.progress_callback = [&] {
      done += kProgressBytes;
      progress(std::min(done, expected), expected);
    };
  }
  Created created;
  auto status = engine_->CreateNewBackup(options, &database, &created.id);
  if (status.IsIncomplete()) throw unavailable("The backup was interrupted.", status.ToString());
  check(status, "taking a base into " + folder_);
  rocksdb::BackupInfo info;
  check(engine_->GetBackupInfo(created.id, &info), "looking at the base in " + folder_);
  created.bytes = info.size;
  if (progress) progress(expected, expected);
  return created;
}

BaseEngine::Held BaseEngine::held(std::uint32_t id) const {
  const auto doing = "opening base " + std::to_string(id) + " in " + folder_;
  rocksdb::BackupInfo info;
  check(reader().GetBackupInfo(id, &info, true), doing);
  rocksdb::DBOptions options;
  options.env = info.env_for_open.get();
  options.max_open_files = kOpenTables;
  options.track_and_verify_wals_in_manifest = true;  // as the database itself is opened
  options.info_log = std::make_shared<NoLog>();      // nothing is to be written into the base
  const std::vector<rocksdb::ColumnFamilyDescriptor> families{
      {rocksdb::kDefaultColumnFamilyName, {}}, {"derived", {}}};
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* opened = nullptr;
  check(rocksdb::DB::OpenForReadOnly(options, info.name_for_open, families, &handles, &opened),
        doing);
  const std::unique_ptr<rocksdb::DB> database(opened);
  Held held{database->GetLatestSequenceNumber(), 0};
  std::string value;
  auto status =
      database->Get(rocksdb::ReadOptions(), handles[1], rocksdb::Slice(keys::kCounters), &value);
  for (auto* handle : handles) database->DestroyColumnFamilyHandle(handle);
  if (status.IsNotFound()) return held;
  check(status, doing);
  held.last_commit_ms = decode_counters(value).last_commit_ms;
  return held;
}

void BaseEngine::stop() { engine_->StopBackup(); }

void BaseEngine::remove(std::uint32_t id) {
  auto status = engine_->DeleteBackup(id);
  if (!status.IsNotFound()) check(status, "removing a base from " + folder_);
}

std::vector<std::uint32_t> BaseEngine::ids() const {
  std::vector<rocksdb::BackupInfo> infos;
  reader().GetBackupInfo(&infos);
  std::vector<std::uint32_t> ids;
  ids.reserve(infos.size());
  for (const auto& info : infos) ids.push_back(info.backup_id);
  return ids;
}

void BaseEngine::verify(std::uint32_t id) const {
  check(reader().VerifyBackup(id, true), "reading base " + std::to_string(id) + " in " + folder_);
}

void BaseEngine::restore(std::uint32_t id, const std::string& folder) const {
  check(reader().RestoreDBFromBackup(rocksdb::RestoreOptions(), id, folder, folder),
        "restoring base " + std::to_string(id) + " of " + folder_);
}

}  // namespace colloquy::store
