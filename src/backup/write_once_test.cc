// A target may be a bucket that is mounted: outside of the bases, which RocksDB writes, a file is
// written once, under its own name, and then read or removed.
#include <gmock/gmock.h>
#include <rocksdb/file_system.h>

#include <filesystem>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "backup/erased_list.h"
#include "backup/fault_harness.h"

namespace colloquy::backup {
namespace {

using rocksdb::FileOptions;
using rocksdb::FSRandomRWFile;
using rocksdb::FSWritableFile;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

// Notes what such a bucket may not be able to do. Thread-safe.
class WatchingFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  WatchingFileSystem() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "WatchingFileSystem"; }

  IOStatus NewWritableFile(const std::string& name, const FileOptions& options,
                           std::unique_ptr<FSWritableFile>* file, IODebugContext* debug) override {
    if (!note_new(name)) note("written again", name);
    return FileSystemWrapper::NewWritableFile(name, options, file, debug);
  }
  IOStatus ReopenWritableFile(const std::string& name, const FileOptions& options,
                              std::unique_ptr<FSWritableFile>* file,
                              IODebugContext* debug) override {
    note("appended to", name);
    return FileSystemWrapper::ReopenWritableFile(name, options, file, debug);
  }
  IOStatus ReuseWritableFile(const std::string& name, const std::string& old_name,
                             const FileOptions& options, std::unique_ptr<FSWritableFile>* file,
                             IODebugContext* debug) override {
    note("used again", old_name);
    return FileSystemWrapper::ReuseWritableFile(name, old_name, options, file, debug);
  }
  IOStatus NewRandomRWFile(const std::string& name, const FileOptions& options,
                           std::unique_ptr<FSRandomRWFile>* file, IODebugContext* debug) override {
    note("written into", name);
    return FileSystemWrapper::NewRandomRWFile(name, options, file, debug);
  }
  IOStatus Truncate(const std::string& name, std::size_t size, const IOOptions& options,
                    IODebugContext* debug) override {
    note("cut", name);
    return FileSystemWrapper::Truncate(name, size, options, debug);
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                      IODebugContext* debug) override {
    note("renamed", from);
    note("renamed to", to);
    return FileSystemWrapper::RenameFile(from, to, options, debug);
  }
  IOStatus LinkFile(const std::string& from, const std::string& to, const IOOptions& options,
                    IODebugContext* debug) override {
    note("linked", from);
    note("linked to", to);
    return FileSystemWrapper::LinkFile(from, to, options, debug);
  }

  std::vector<std::string> noted() const {
    const std::scoped_lock lock(mutex_);
    return noted_;
  }
  // Of files that end so.
  std::size_t written(const std::string& ending) const {
    const std::scoped_lock lock(mutex_);
    std::size_t count = 0;
    for (const auto& name : written_) count += name.ends_with(ending) ? 1 : 0;
    return count;
  }

 private:
  static bool is_of_bases(const std::string& name) {
    return name.find("/bases/") != std::string::npos;
  }
  // False where it is there, or was: what a bucket shows of a name that was written anew may be
  // old.
  bool note_new(const std::string& name) {
    if (is_of_bases(name)) return true;
    const std::scoped_lock lock(mutex_);
    return written_.insert(name).second && !std::filesystem::exists(name);
  }
  void note(const char* what, const std::string& name) {
    if (is_of_bases(name)) return;
    const std::scoped_lock lock(mutex_);
    noted_.push_back(name + " " + what);
  }

  mutable std::mutex mutex_;
  std::set<std::string> written_;  // guarded by mutex_, as the next
  std::vector<std::string> noted_;
};

TEST(WriteOnceTest, OutsideOfTheBasesNoFileIsRenamedOrWrittenTwice) {
  BackupHarness harness;
  small_numbers(harness);
  auto disk = std::make_shared<WatchingFileSystem>();
  const auto begin = [&] {
    harness.close();
    harness.open();
    harness.begin_backup(store::TargetFiles(disk));
  };
  begin();
  do_everything(
      harness, [&] { harness.round(); }, [&] { harness.base(); });
  // Taken up by another process, from a segment that is cut.
  harness.write();
  harness.round();
  harness.close();
  const auto last = harness.segment_files().back();
  write_contents(last, contents_of(last).substr(0, 50));
  begin();
  do_everything(
      harness, [&] { harness.round(); }, [&] { harness.base(); });
  store::TargetFiles files(disk);
  for (int i = 0; i < 2; ++i) {
    note_erased(files, harness.shipper_options().target,
                {store::erased_name(UserId("carol")), harness.clock().now_ms()});
  }
  harness.write();
  harness.clock().advance_ms(10'000);  // after which it says anew that it has caught up
  harness.round();
  harness.shipper().ship_rest();
  EXPECT_THAT(disk->noted(), testing::IsEmpty());
  EXPECT_GT(disk->written(".segment"), 8U);
  EXPECT_GE(disk->written(".record"), 4U);
  expect_whole(harness, Look::kLastMoment);
}

// What a power loss would leave of the folders of a target, and when a log went. Thread-safe.
struct Durable {
  std::mutex mutex;
  std::set<std::string> synced;                     // folders, since one was last made in them
  std::optional<std::set<std::string>> at_release;  // of the first log
};

// RocksDB has names that end so.
std::string without_slash(std::string name) {
  if (name.ends_with('/')) name.pop_back();
  return name;
}

class SyncedFolder final : public rocksdb::FSDirectoryWrapper {
 public:
  SyncedFolder(std::unique_ptr<rocksdb::FSDirectory> folder, std::string name, Durable& durable)
      : FSDirectoryWrapper(std::move(folder)), name_(std::move(name)), durable_(durable) {}
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    return note(FSDirectoryWrapper::Fsync(options, debug));
  }
  IOStatus FsyncWithDirOptions(const IOOptions& options, IODebugContext* debug,
                               const rocksdb::DirFsyncOptions& why) override {
    return note(FSDirectoryWrapper::FsyncWithDirOptions(options, debug, why));
  }

 private:
  IOStatus note(IOStatus status) {
    const std::scoped_lock lock(durable_.mutex);
    if (status.ok()) durable_.synced.insert(name_);
    return status;
  }

  const std::string name_;
  Durable& durable_;
};

// Of the target, and of the database.
class DurableFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  explicit DurableFileSystem(Durable& durable)
      : FileSystemWrapper(rocksdb::FileSystem::Default()), durable_(durable) {}
  const char* Name() const override { return "DurableFileSystem"; }

  IOStatus CreateDirIfMissing(const std::string& name, const IOOptions& options,
                              IODebugContext* debug) override {
    {
      const std::scoped_lock lock(durable_.mutex);
      durable_.synced.erase(std::filesystem::path(without_slash(name)).parent_path().string());
    }
    return FileSystemWrapper::CreateDirIfMissing(name, options, debug);
  }
  IOStatus NewDirectory(const std::string& name, const IOOptions& options,
                        std::unique_ptr<rocksdb::FSDirectory>* folder,
                        IODebugContext* debug) override {
    auto status = FileSystemWrapper::NewDirectory(name, options, folder, debug);
    if (status.ok()) {
      *folder = std::make_unique<SyncedFolder>(std::move(*folder), without_slash(name), durable_);
    }
    return status;
  }
  IOStatus DeleteFile(const std::string& name, const IOOptions& options,
                      IODebugContext* debug) override {
    if (name.ends_with(".log")) {
      const std::scoped_lock lock(durable_.mutex);
      if (!durable_.at_release) durable_.at_release = durable_.synced;
    }
    return FileSystemWrapper::DeleteFile(name, options, debug);
  }

 private:
  Durable& durable_;
};

TEST(WriteOnceTest, EachFolderIsDurableBeforeTheFirstLogGoes) {
  // Made by this process, or by one that died before it had synced anything.
  for (const bool there : {false, true}) {
    Durable durable;
    auto disk = std::make_shared<DurableFileSystem>(durable);
    BackupHarness harness;
    const auto target = harness.shipper_options().target;
    harness.store_options().file_system = disk;
    harness.open();
    if (there) {
      const auto folder = target + "/" + lineage_name(harness.source().lineage());
      std::filesystem::create_directories(folder + "/log");
      std::filesystem::create_directories(folder + "/bases");
    }
    harness.begin_backup(store::TargetFiles(disk));
    harness.base();
    for (int i = 0; i < 2; ++i) {
      harness.write();
      harness.store().flush_and_compact();
      harness.round();
    }
    ASSERT_TRUE(durable.at_release);
    EXPECT_THAT(
        *durable.at_release,
        testing::IsSupersetOf({harness.folder().string(), target, harness.lineage_path(),
                               harness.lineage_path() + "/log", harness.lineage_path() + "/bases"}))
        << there;
    harness.close();
  }
}

TEST(WriteOnceTest, TheListOfTheErasedIsDurableWithItsFolder) {
  for (const bool there : {false, true}) {
    Durable durable;
    const store::TemporaryFolder own;
    const auto target = own.path().string();
    if (there) std::filesystem::create_directory(target + "/erased");
    store::TargetFiles files(std::make_shared<DurableFileSystem>(durable));
    note_erased(files, target, {store::erased_name(UserId("carol")), 1});
    EXPECT_THAT(durable.synced, testing::IsSupersetOf({target, target + "/erased"})) << there;
  }
}

}  // namespace
}  // namespace colloquy::backup
