#include "backup/shipper.h"

#include <gmock/gmock.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <future>
#include <random>

#include "backup/backup_harness.h"

namespace colloquy::backup {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

void expect_whole(BackupHarness& harness) {
  for (const auto& verified : harness.verified()) {
    EXPECT_THAT(verified.problems, IsEmpty());
    EXPECT_EQ(verified.windows.size(), 1U);
  }
}

void expect_last_moment(BackupHarness& harness) {
  auto request = harness.request(std::nullopt);
  auto restored = harness.restore_to(request);
  EXPECT_TRUE(restored.complete);
  EXPECT_EQ(harness.held_in(request.data), held_by(harness.store()));
}

// Of those that rounds have begun, failed ones too.
class BasesEnded {
 public:
  void count() {
    if (counted_++ == 0) first_.set_value();
  }
  bool wait() {
    return first_.get_future().wait_for(std::chrono::minutes(1)) == std::future_status::ready;
  }
  int counted() const { return counted_; }

 private:
  std::atomic<int> counted_{0};
  std::promise<void> first_;
};

std::vector<BaseRecord> bases_of(BackupHarness& harness) {
  return LineageFolder(store::TargetFiles(), harness.shipper_options().target,
                       harness.shipper().lineage())
      .bases()
      .records;
}

std::uint64_t log_bytes(BackupHarness& harness) {
  std::uint64_t bytes = 0;
  for (const auto& file : harness.segment_files()) bytes += std::filesystem::file_size(file);
  return bytes;
}

std::string random_text(std::size_t bytes) {
  static std::mt19937 random(11);
  std::string text(bytes, ' ');
  for (char& c : text) c = static_cast<char>('!' + random() % 90);
  return text;
}

TEST(ShipperTest, TheLogStaysUntilItIsShippedAndGoesThen) {
  BackupHarness harness;
  harness.open();
  harness.base();
  for (int i = 0; i < 5; ++i) {
    harness.write();
    harness.store().flush_and_compact();
  }
  EXPECT_GT(harness.source().kept_log_bytes(), 0U);
  auto kept = harness.source().kept_log_bytes();
  harness.close();
  harness.open();
  harness.round();
  expect_whole(harness);
  expect_last_moment(harness);
  harness.write();
  harness.store().flush_and_compact();
  harness.write();
  harness.round();
  EXPECT_LT(harness.source().kept_log_bytes(), kept);
}

TEST(ShipperTest, WithoutABackupNoLogIsKept) {
  BackupHarness harness;
  harness.open();
  harness.base();
  harness.write();
  harness.store().flush_and_compact();
  EXPECT_GT(harness.source().kept_log_bytes(), 0U);
  harness.close();
  harness.store_options().keep_log = false;
  harness.open();
  // Its start may still be refused.
  EXPECT_GT(harness.source().kept_log_bytes(), 0U);
  harness.store().drop_kept_logs();
  EXPECT_EQ(harness.source().kept_log_bytes(), 0U);
  harness.write();
  harness.store().flush_and_compact();
  EXPECT_GT(harness.source().kept_log_bytes(), 0U);
  harness.store().sweep_now();
  EXPECT_EQ(harness.source().kept_log_bytes(), 0U);
  harness.close();
  EXPECT_FALSE(std::filesystem::exists(harness.store_options().path + "/archive"));
  harness.open();
  harness.write();
  harness.store().flush_and_compact();
  EXPECT_EQ(harness.source().kept_log_bytes(), 0U);
}

// As a move of the data from one store into another does.
TEST(ShipperTest, WhoOpensTheStoreWithoutABackupLeavesTheLogToIt) {
  BackupHarness harness;
  harness.open();
  harness.base();
  harness.write();
  harness.store().flush_and_compact();
  harness.close();
  harness.store_options().keep_log = false;
  harness.open();
  harness.write();
  harness.store().flush_and_compact();
  harness.close();
  harness.store_options().keep_log = true;
  harness.open();
  harness.round();
  expect_whole(harness);
  expect_last_moment(harness);
}

TEST(ShipperTest, PastItsLimitTheLogIsGivenUpAndANewBaseTaken) {
  BackupHarness harness;
  harness.shipper_options().log_limit_bytes = 1;
  harness.open();
  harness.base();
  harness.write();
  harness.round();
  auto good_ms = harness.held_at().rbegin()->first;
  harness.write();
  harness.store().flush_and_compact();
  harness.write();
  auto lost_ms = harness.held_at().rbegin()->first;
  harness.store().flush_and_compact();
  harness.shipper().guard_log();
  EXPECT_EQ(harness.source().kept_log_bytes(), 0U);
  harness.base();
  harness.write();
  harness.round();
  expect_last_moment(harness);
  auto good = harness.request(good_ms);
  harness.restore_to(good);
  EXPECT_EQ(harness.held_in(good.data), harness.held_at().at(good_ms));
  auto verified = harness.verified().front();
  EXPECT_THAT(verified.problems, IsEmpty());
  EXPECT_THAT(verified.gaps, ElementsAre(HasSubstr("in no segment")));
  EXPECT_EQ(verified.windows.size(), 2U);
  auto lost = harness.request(lost_ms - 1);
  auto restored = harness.restore_to(lost);
  EXPECT_FALSE(restored.complete);
  EXPECT_LE(restored.last_commit_ms, good_ms);
}

TEST(ShipperTest, ManySmallSegmentsBecomeOne) {
  BackupHarness harness;
  harness.shipper_options().merged_segments = 5;
  harness.open();
  harness.base();
  for (int i = 0; i < 23; ++i) {
    harness.write(1);
    harness.round();
  }
  EXPECT_LE(harness.segment_files().size(), 5U);
  expect_whole(harness);
  expect_last_moment(harness);
}

// So that a restore has no more log to apply than this, however much is written in a day.
TEST(ShipperTest, ABaseIsRenewedOnceTheLogBehindItIsHalfAsLongAndNotBefore) {
  BasesEnded ended;
  BackupHarness harness;
  harness.shipper_options().base_log_bytes = 1;
  harness.shipper_options().base_ended = [&ended] { ended.count(); };
  harness.open();
  const auto conversation = harness.create(UserId("alice"), "a long one");
  harness.append(conversation, random_text(40'000));
  harness.base();
  const auto half = bases_of(harness).back().bytes / 2;
  ASSERT_GT(half, 10'000U);
  int rounds = 0;
  for (; log_bytes(harness) < half; ++rounds) {
    harness.append(conversation, random_text(2'000));
    harness.round();
  }
  EXPECT_GT(rounds, 2);
  ASSERT_TRUE(ended.wait());
  const auto shipped = harness.source().newest_sequence();
  harness.append(conversation, random_text(2'000));
  harness.round();
  // The one round began it whose segment was the last that was missing.
  ASSERT_EQ(bases_of(harness).size(), 2U);
  EXPECT_EQ(bases_of(harness).back().from_sequence, shipped);
  // From there the log is counted anew.
  harness.append(conversation, random_text(2'000));
  harness.round();
  expect_last_moment(harness);
  harness.close();
  EXPECT_EQ(ended.counted(), 1);
}

TEST(ShipperTest, ABaseIsNotRenewedForLessLogThanIsSet) {
  BasesEnded ended;
  BackupHarness harness;
  harness.shipper_options().base_log_bytes = 10'000'000;
  harness.shipper_options().base_ended = [&ended] { ended.count(); };
  harness.open();
  harness.base();
  const auto conversation = harness.create(UserId("alice"), "a long one");
  while (log_bytes(harness) < bases_of(harness).back().bytes) {
    harness.append(conversation, random_text(40'000));
    harness.round();
  }
  harness.close();
  EXPECT_EQ(ended.counted(), 0);
}

TEST(ShipperTest, WhatNobodyCanNeedGoes) {
  BackupHarness harness;
  harness.shipper_options().keep = std::chrono::seconds(20);
  harness.open();
  for (int i = 0; i < 60; ++i) {
    if (i % 5 == 0) harness.base();
    harness.write(1);
    harness.round();
  }
  auto verified = harness.verified().front();
  EXPECT_THAT(verified.problems, IsEmpty());
  EXPECT_LE(verified.bases, 6U);
  EXPECT_LE(harness.segment_files().size(), 30U);
  auto now_ms = harness.clock().now_ms();
  EXPECT_LE(verified.windows.front().from_ms, now_ms - 20'000);
  auto request = harness.request(now_ms - 20'000);
  harness.restore_to(request);
  EXPECT_EQ(harness.held_in(request.data), harness.held_before(now_ms - 20'000));
}

TEST(ShipperTest, ATornSegmentIsWrittenAgain) {
  BackupHarness harness;
  harness.open();
  harness.base();
  harness.write();
  harness.round();
  harness.write();
  harness.round();
  harness.close();
  auto last = harness.segment_files().back();
  write_contents(last, contents_of(last).substr(0, 50));
  harness.open();
  harness.round();
  EXPECT_FALSE(std::filesystem::exists(last));
  expect_whole(harness);
  expect_last_moment(harness);
}

TEST(ShipperTest, ADatabaseThatWasSetBackGetsALineageOfItsOwn) {
  BackupHarness harness;
  harness.open();
  harness.base();
  harness.write();
  harness.round();
  auto lineage = harness.shipper().lineage();
  harness.close();
  std::filesystem::copy(harness.folder() / "data", harness.folder() / "snapshot",
                        std::filesystem::copy_options::recursive);
  harness.open();
  harness.write();
  harness.round();
  auto was = held_by(harness.store());
  harness.close();
  std::filesystem::remove_all(harness.folder() / "data");
  std::filesystem::rename(harness.folder() / "snapshot", harness.folder() / "data");
  harness.open();
  harness.write(20);  // further than the other got
  harness.base();
  EXPECT_NE(harness.shipper().lineage(), lineage);
  auto request = harness.request(std::nullopt);
  request.lineage = lineage;
  harness.restore_to(request);
  EXPECT_EQ(harness.held_in(request.data), was);
  request = harness.request(std::nullopt);
  request.lineage = harness.shipper().lineage();
  harness.restore_to(request);
  EXPECT_EQ(harness.held_in(request.data), held_by(harness.store()));
}

TEST(ShipperTest, OfTwoCopiesThatRunOneShipsAndTheOtherSaysWhyNot) {
  BackupHarness harness;
  harness.open();
  harness.base();
  harness.write();
  harness.round();
  // Another server on a copy of the folder, at the same state.
  LineageFolder(store::TargetFiles(), harness.shipper_options().target, harness.shipper().lineage())
      .take_over(harness.clock().now_ms(), harness.ids());
  harness.write();
  harness.clock().advance_ms(10'000);
  try {
    harness.round();
    ADD_FAILURE() << "it ships on";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kConflict);
  }
}

TEST(ShipperTest, OneBackupAfterTheOtherWithoutALog) {
  BackupHarness harness;
  harness.store_options().keep_log = false;
  harness.shipper_options().owns_log = false;
  harness.open();
  for (int i = 0; i < 3; ++i) {
    harness.write();
    harness.begin_backup();
    harness.base();
    harness.store().flush_and_compact();
  }
  for (const auto& [at_ms, held] : harness.held_at()) {
    auto request = harness.request(at_ms);
    harness.restore_to(request);
    EXPECT_EQ(harness.held_in(request.data), held);
  }
  const auto verified = harness.verified().front();
  EXPECT_THAT(verified.problems, IsEmpty());
  EXPECT_EQ(verified.windows.size(), 3U);
  EXPECT_THAT(verified.gaps, ElementsAre(HasSubstr("in no segment"), HasSubstr("in no segment")));
}

}  // namespace
}  // namespace colloquy::backup
