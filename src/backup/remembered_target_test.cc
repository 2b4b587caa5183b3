#include "backup/remembered_target.h"

#include <gmock/gmock.h>

#include "backup/backup_harness.h"

namespace colloquy::backup {
namespace {

using testing::HasSubstr;

class RememberedTargetTest : public testing::Test {
 protected:
  RememberedTargetTest() {
    harness_.shipper_options().remembered_in = file_;
    harness_.shipper_options().makes_target = false;
    std::filesystem::create_directory(target_);
  }
  void begin() {
    harness_.open();
    harness_.base();
    harness_.write();
    harness_.round();
  }
  void restart() {
    harness_.close();
    harness_.open();
  }
  void expect_waiting() {
    for (int i = 0; i < 2; ++i) {
      try {
        harness_.round();
        ADD_FAILURE() << "a backup was begun";
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
        EXPECT_THAT(error.message(), HasSubstr("this database has a backup in " + target_));
      }
      EXPECT_THROW(
          harness_.shipper().note_erased({{store::erased_name(UserId("alice")), std::int64_t{1}}}),
          Error);
    }
  }

  BackupHarness harness_;
  const std::string target_ = harness_.shipper_options().target;
  const std::string file_ = (harness_.folder() / "data/backup-folder").string();
};

TEST_F(RememberedTargetTest, AStartWaitsForTheFolderThatHadTheBackup) {
  begin();
  const auto lineage = harness_.shipper().lineage();
  EXPECT_EQ(read_remembered_target(file_), (RememberedTarget{target_, lineage}));
  harness_.close();
  std::filesystem::rename(target_, target_ + ".away");
  harness_.open();
  expect_waiting();
  EXPECT_FALSE(std::filesystem::exists(target_));
  std::filesystem::create_directory(target_);
  expect_waiting();
  EXPECT_TRUE(std::filesystem::is_empty(target_));
  std::filesystem::remove(target_);
  std::filesystem::rename(target_ + ".away", target_);
  harness_.write();
  harness_.round();
  EXPECT_EQ(harness_.shipper().lineage(), lineage);
  EXPECT_TRUE(harness_.shipper().restorable());
}

TEST_F(RememberedTargetTest, AnotherFolderIsBegunInAndRememberedThen) {
  begin();
  const auto other = target_ + "-2";
  std::filesystem::create_directory(other);
  harness_.shipper_options().target = other;
  restart();
  harness_.base();
  EXPECT_TRUE(harness_.shipper().restorable());
  EXPECT_EQ(read_remembered_target(file_)->target, other);
  EXPECT_FALSE(std::filesystem::exists(file_ + ".new"));
}

TEST_F(RememberedTargetTest, ABackupByHandBeginsOneThereAnew) {
  begin();
  harness_.close();
  std::filesystem::remove_all(target_);
  std::filesystem::create_directory(target_);
  auto& options = harness_.shipper_options();
  options.remembered_in.clear();
  options.owns_log = false;
  harness_.open();
  harness_.base();
  options.remembered_in = file_;
  options.owns_log = true;
  restart();
  harness_.round();
  harness_.base();
  EXPECT_TRUE(harness_.shipper().restorable());
}

TEST_F(RememberedTargetTest, WhatIsRemovedWhileItRunsIsBegunAnew) {
  begin();
  std::filesystem::remove_all(harness_.lineage_path());
  harness_.clock().advance_ms(10'000);
  harness_.base();
  EXPECT_TRUE(harness_.shipper().restorable());
}

// The folder was in use with another database, or the crash came before anything was there.
TEST_F(RememberedTargetTest, WhatIsRememberedOfAnotherLineageSaysNothing) {
  remember_target(file_, {target_, Uuid()});
  begin();
  EXPECT_TRUE(harness_.shipper().restorable());
}

TEST_F(RememberedTargetTest, AFileThatSaysNothingIsNone) {
  for (const auto* text : {"", "\n", " \n", "x /target\n", "01a209a7e6a87d0d8f5d0c3e52a0b2a1 /t"}) {
    write_contents(file_, text);
    EXPECT_FALSE(read_remembered_target(file_)) << text;
  }
  const RememberedTarget odd{"/a b\nc ", harness_.ids().next(1)};
  remember_target(file_, odd);
  EXPECT_EQ(read_remembered_target(file_), odd);
}

}  // namespace
}  // namespace colloquy::backup
