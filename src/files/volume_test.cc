// What others do on the volume: forbid, hold, sweep, make folders at the same time.
#include "files/volume.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file_descriptor.h"
#include "base/testing/failing_file_system.h"
#include "files/listing.h"
#include "store/testing/temporary_folder.h"

namespace colloquy::files {
namespace {

namespace fs = std::filesystem;
using store::TemporaryFolder;

const UserId kUser("alice");

Stored put(Volume& volume, const std::string& path, const Precondition& precondition = {}) {
  auto draft = volume.begin();
  draft->append("x");
  return volume.put(kUser, path, *draft, precondition, [](auto) {});
}

ErrorCode code_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_FALSE(error.message().empty());
    return error.code();
  }
  return ErrorCode::kInternal;
}

std::pair<dev_t, ino_t> id_of(const fs::path& path) {
  struct stat found {};
  EXPECT_EQ(::stat(path.c_str(), &found), 0) << path;
  return {found.st_dev, found.st_ino};
}

enum class Did { kChange, kSync, kRename, kRemove };  // kRemove: in the folder

// One with the rights and the names of others.
class OddFileSystem final : public FailingFileSystem {
 public:
  OddFileSystem() : FailingFileSystem(linux_file_system()) {}

  int open(int folder, const std::string& path, int flags, unsigned mode) override {
    if (path.find("locked") != std::string::npos) return -EACCES;
    if (path.find(':') != std::string::npos) return -EINVAL;
    return FailingFileSystem::open(folder, path, flags, mode);
  }
  int make_folder(int folder, const std::string& name, unsigned mode) override {
    if (name.find("forbidden") != std::string::npos) return -EACCES;
    return FailingFileSystem::make_folder(folder, name, mode);
  }
  int remove(int folder, const std::string& name) override {
    if (name.find("immutable") != std::string::npos) return -EPERM;
    note(Did::kRemove, folder);
    return FailingFileSystem::remove(folder, name);
  }
  int rename(int from, const std::string& old_name, int to, const std::string& name) override {
    if (name.find("immutable") != std::string::npos) return -EPERM;
    if (name.find(':') != std::string::npos) return -EINVAL;
    note_rename(from, old_name);
    return FailingFileSystem::rename(from, old_name, to, name);
  }
  int rename_to_free_name(int from, const std::string& old_name, int to,
                          const std::string& name) override {
    note_rename(from, old_name);
    return FailingFileSystem::rename_to_free_name(from, old_name, to, name);
  }
  int set_modified(int file) override {
    note(Did::kChange, file);
    return FailingFileSystem::set_modified(file);
  }
  ssize_t write(int file, std::string_view bytes, std::uint64_t offset) override {
    note(Did::kChange, file);
    return FailingFileSystem::write(file, bytes, offset);
  }
  int stat_name(int folder, const std::string& name, struct stat& found) override {
    if (folds_case && name == ".COLLOQUY-UPLOADS") {
      return FailingFileSystem::stat_name(folder, kDraftsFolder, found);
    }
    if (name.find(':') != std::string::npos) return -EINVAL;
    return FailingFileSystem::stat_name(folder, name, found);
  }
  int sync(int file) override {
    struct stat found {};
    if (::fstat(file, &found) == 0) synced.insert({found.st_dev, found.st_ino});
    note(Did::kSync, file);
    if (before_sync && S_ISDIR(found.st_mode)) std::exchange(before_sync, nullptr)();
    return FailingFileSystem::sync(file);
  }

  bool folds_case = false;
  std::function<void()> before_sync;  // of the next folder; once
  std::set<std::pair<dev_t, ino_t>> synced;
  std::vector<std::pair<Did, ino_t>> done;  // in order

 private:
  void note(Did did, int file) {
    struct stat found {};
    if (::fstat(file, &found) == 0) done.emplace_back(did, found.st_ino);
  }
  void note_rename(int from, const std::string& name) {
    struct stat found {};
    if (::fstatat(from, name.c_str(), &found, 0) == 0) {
      done.emplace_back(Did::kRename, found.st_ino);
    }
  }
};

using testing::ElementsAre;
using testing::Pair;

TEST(Volume, WhatAnotherProgramForbidsIsMissingToAReaderAndAConflictToAWriter) {
  const TemporaryFolder root;
  OddFileSystem system;
  Volume volume(system, root.path(), "one");
  put(volume, "a");
  fs::create_directories(root.path() / "alice" / "locked");
  std::ofstream(root.path() / "alice" / "locked" / "b") << "x";
  std::ofstream(root.path() / "alice" / "immutable") << "x";

  EXPECT_FALSE(volume.info(kUser, "locked/b"));
  EXPECT_FALSE(volume.open(kUser, "locked/b"));
  const auto page = list(volume, kUser, {"", "", 10});
  ASSERT_EQ(page.files.size(), 2U);
  EXPECT_EQ(page.files[0].path, "a");
  EXPECT_EQ(volume.measure(kUser).files, 3U);

  EXPECT_EQ(code_of([&] { put(volume, "locked/b"); }), ErrorCode::kConflict);
  EXPECT_EQ(code_of([&] { volume.check_way(kUser, "locked/b"); }), ErrorCode::kConflict);
  EXPECT_EQ(code_of([&] { put(volume, "forbidden/b"); }), ErrorCode::kConflict);
  EXPECT_EQ(code_of([&] { put(volume, "immutable"); }), ErrorCode::kConflict);
  EXPECT_EQ(code_of([&] { volume.remove(kUser, "locked/b", {}); }), ErrorCode::kNotFound);
  EXPECT_EQ(code_of([&] { volume.remove(kUser, "immutable", {}); }), ErrorCode::kConflict);
}

TEST(Volume, ANameThatTheFileSystemCannotHaveIsNoFileAndInvalidToAWriter) {
  const TemporaryFolder root;
  OddFileSystem system;
  Volume volume(system, root.path(), "one");
  for (const std::string path : {"a:b", "a:b/c", "d/a:b"}) {
    EXPECT_FALSE(volume.info(kUser, path)) << path;
    EXPECT_EQ(code_of([&] { volume.remove(kUser, path, {}); }), ErrorCode::kNotFound) << path;
    EXPECT_EQ(code_of([&] { put(volume, path); }), ErrorCode::kInvalid) << path;
  }
  EXPECT_FALSE(fs::exists(root.path() / "alice" / "d"));
}

TEST(Volume, IsRefusedWhereUsersWouldShareAFolder) {
  const TemporaryFolder root;
  OddFileSystem system;
  system.folds_case = true;
  EXPECT_EQ(code_of([&] { Volume volume(system, root.path(), "one"); }), ErrorCode::kInvalid);
  system.folds_case = false;
  fs::create_directories(root.path() / ".COLLOQUY-UPLOADS");
  Volume volume(system, root.path(), "one");
}

TEST(Volume, AFileIsSafeOnlyWithAllFoldersThatOthersAreJustMaking) {
  const TemporaryFolder root;
  OddFileSystem system;
  Volume volume(system, root.path(), "one");
  std::set<std::pair<dev_t, ino_t>> synced;
  // Both folders are there, and none of them is yet synced.
  system.before_sync = [&] {
    system.synced.clear();
    put(volume, "x/y/second");
    synced = system.synced;
  };
  put(volume, "x/y/first");
  for (const char* folder : {"", "alice", "alice/x", "alice/x/y"}) {
    EXPECT_TRUE(synced.contains(id_of(root.path() / folder))) << folder;
  }
  system.synced.clear();
  put(volume, "x/y/third");
  EXPECT_FALSE(system.synced.contains(id_of(root.path() / "alice")));
}

// What a kill of the process cannot show: the page cache outlives it, and not a loss of power.
TEST(Volume, AFileIsSyncedBeforeItHasItsNameAndTheFolderAfterwards) {
  const TemporaryFolder root;
  OddFileSystem system;
  Volume volume(system, root.path(), "one");
  fs::create_directories(root.path() / "alice");
  const auto folder = id_of(root.path() / "alice").second;
  Precondition is_new;
  is_new.missing = true;
  for (const auto& precondition : {is_new, Precondition()}) {
    system.done.clear();
    put(volume, "a", precondition);
    const auto file = id_of(root.path() / "alice" / "a").second;
    EXPECT_THAT(system.done, ElementsAre(Pair(Did::kChange, file), Pair(Did::kChange, file),
                                         Pair(Did::kSync, file), Pair(Did::kRename, file),
                                         Pair(Did::kSync, folder)));
  }
}

TEST(Volume, AFileIsGoneForGoodOnceItsRemovalIsAnswered) {
  const TemporaryFolder root;
  OddFileSystem system;
  Volume volume(system, root.path(), "one");
  put(volume, "d/a");
  put(volume, "d/b");
  const auto folder = id_of(root.path() / "alice" / "d").second;
  system.done.clear();
  volume.remove(kUser, "d/a", {});
  EXPECT_THAT(system.done, ElementsAre(Pair(Did::kRemove, folder), Pair(Did::kSync, folder)));
}

TEST(Volume, NamesThatOnlyLookTheSameAreTwoFiles) {
  const TemporaryFolder root;
  Volume volume(linux_file_system(), root.path(), "one");
  put(volume, "caf\u00e9");
  put(volume, "cafe\u0301");
  EXPECT_EQ(volume.measure(kUser).files, 2U);
  volume.remove(kUser, "caf\u00e9", {});
  EXPECT_TRUE(volume.info(kUser, "cafe\u0301"));
}

TEST(LinuxFileSystem, OpensNothingOutsideOfTheFolder) {
  const TemporaryFolder root;
  fs::create_directories(root.path() / "in" / "deeper");
  std::ofstream(root.path() / "out") << "x";
  fs::create_symlink("../out", root.path() / "in" / "link");
  auto& system = linux_file_system();
  const FileDescriptor folder(
      ::open((root.path() / "in").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_TRUE(folder.is_open());
  const auto error_at = [&](const std::string& path) {
    return FileDescriptor(system.open(folder.number(), path, O_RDONLY, 0)).error();
  };
  EXPECT_EQ(error_at("../out"), EXDEV);
  EXPECT_EQ(error_at("deeper/../../out"), EXDEV);
  EXPECT_EQ(error_at((root.path() / "out").string()), EXDEV);
  EXPECT_EQ(error_at("link"), ELOOP);
  EXPECT_EQ(error_at("deeper/.."), 0);
}

TEST(Volume, AFailedUploadRemovesTheFoldersThatItMadeAndNoOthers) {
  const TemporaryFolder root;
  Volume volume(linux_file_system(), root.path(), "one");
  fs::create_directories(root.path() / "alice" / "theirs");
  Precondition exists;
  exists.exists = true;
  EXPECT_EQ(code_of([&] { put(volume, "theirs/a", exists); }), ErrorCode::kPreconditionFailed);
  EXPECT_EQ(code_of([&] { put(volume, "theirs/b/c", exists); }), ErrorCode::kPreconditionFailed);
  EXPECT_TRUE(fs::exists(root.path() / "alice" / "theirs"));
  EXPECT_FALSE(fs::exists(root.path() / "alice" / "theirs" / "b"));
}

TEST(Volume, KnowsHowManyFoldersAreMissing) {
  const TemporaryFolder root;
  Volume volume(linux_file_system(), root.path(), "one");
  EXPECT_EQ(volume.check_way(kUser, "a"), 0U);
  EXPECT_EQ(volume.check_way(kUser, "a/b/c"), 2U);
  std::uint64_t told = 0;
  auto draft = volume.begin();
  volume.put(kUser, "a/b", *draft, {}, [&](const Change& change) { told = change.folders; });
  EXPECT_EQ(told, 1U);
  EXPECT_EQ(volume.check_way(kUser, "a/b"), 0U);
  EXPECT_EQ(volume.check_way(kUser, "a/c/d/e"), 2U);
  EXPECT_EQ(volume.remove(kUser, "a/b", {}).files, 2U);
}

TEST(Drafts, OfAnotherMachineAreLeftAloneUntilNobodyHasWrittenToThemForLong) {
  const TemporaryFolder root;
  const auto theirs = root.path() / kDraftsFolder / "theirs";
  fs::create_directories(theirs);
  std::ofstream(theirs / "lock") << "another machine";
  std::ofstream(theirs / "old") << "x";
  std::ofstream(theirs / "new") << "x";
  fs::last_write_time(theirs / "old", fs::file_time_type::clock::now() - 2 * kLeftAfter);
  Volume volume(linux_file_system(), root.path(), "one");
  EXPECT_EQ(volume.sweep(), 1U);
  EXPECT_FALSE(fs::exists(theirs / "old"));
  EXPECT_TRUE(fs::exists(theirs / "new"));
  EXPECT_TRUE(fs::exists(theirs / "lock"));
}

TEST(Drafts, GoOnInAnotherFolderWhereTheirsIsGone) {
  const TemporaryFolder root;
  Volume volume(linux_file_system(), root.path(), "one");
  fs::remove_all(root.path() / kDraftsFolder / "one-0");
  put(volume, "a");
  EXPECT_TRUE(fs::exists(root.path() / "alice" / "a"));
  EXPECT_EQ(volume.sweep(), 0U);
  put(volume, "b");
}

}  // namespace
}  // namespace colloquy::files
