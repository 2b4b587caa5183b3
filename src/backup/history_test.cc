// Restoring from what is not as the shipper left it, and from bases alone.
#include <gmock/gmock.h>

#include <algorithm>
#include <set>

#include "backup/backup_harness.h"
#include "backup/folder_hold.h"
#include "backup/moment.h"
#include "store/rocksdb/database.h"
#include "store/rocksdb/keys.h"
#include "store/rocksdb/value_codec.h"

namespace colloquy::backup {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

TEST(HistoryTest, ABaseThatIsWrittenToMeanwhileSaysWhatItHolds) {
  BackupHarness harness;
  harness.store_options().keep_log = false;
  harness.shipper_options().owns_log = false;
  harness.open();
  for (int i = 0; i < 3; ++i) {
    harness.write();
    harness.begin_backup();
    bool written = false;
    harness.shipper().round_with_base([&](std::uint64_t, std::uint64_t) {
      if (!std::exchange(written, true)) harness.write();
    });
    auto request = harness.request(std::nullopt);
    auto restored = harness.restore_to(request);
    EXPECT_TRUE(restored.complete);
    EXPECT_THAT(restored.problems, IsEmpty());
    EXPECT_EQ(restored.last_commit_ms, harness.shipper().shipped_ms());
    EXPECT_EQ(harness.held_in(request.data), held_by(harness.store()));
    // What it does not hold it does not speak of.
    harness.write();
    EXPECT_LT(harness.shipper().shipped_ms(), harness.clock().now_ms() - 1'000);
    harness.store().flush_and_compact();
  }
}

TEST(HistoryTest, TwoRestoresIntoOneFolderDoNotMeet) {
  BackupHarness harness;
  harness.open();
  harness.base();
  auto request = harness.request(std::nullopt);
  std::filesystem::create_directories(request.data + "/restoring/half");
  {
    const FolderHold other(request.data, "mine");
    EXPECT_THROW(harness.restore_to(request), Error);
    EXPECT_TRUE(std::filesystem::exists(request.data + "/restoring/half"));
  }
  EXPECT_TRUE(harness.restore_to(request).complete);
}

TEST(HistoryTest, ABaseOfAnOlderFormatLosesNoCommitBehindIt) {
  BackupHarness harness;
  harness.open();
  harness.write();
  harness.close();
  store::Database database(harness.store_options());
  std::string value;
  store::encode_format(store::kDatabaseFormat - 1, value);
  const rocksdb::WriteOptions plain;
  ASSERT_TRUE(database.db()
                  .Put(plain, database.derived(), rocksdb::Slice(store::keys::kFormat), value)
                  .ok());
  store::BackupSource source(database);
  ShipperMetrics metrics(harness.metrics());
  Shipper shipper(source, store::TargetFiles(), harness.clock(), harness.ids(), metrics,
                  harness.shipper_options());
  shipper.round_with_base(nullptr);
  store::Counters counters;
  counters.conversations = 77;
  counters.last_commit_ms = harness.clock().now_ms();
  value.clear();
  encode(counters, value);
  ASSERT_TRUE(database.db()
                  .Put(plain, database.derived(), rocksdb::Slice(store::keys::kCounters), value)
                  .ok());
  shipper.round();
  auto restored = harness.restore_to(harness.request(std::nullopt));
  EXPECT_THAT(restored.problems, IsEmpty());
  EXPECT_EQ(restored.conversations, 77U);
}

TEST(HistoryTest, SegmentsThatOverlapMustHoldTheSame) {
  BackupHarness harness;
  harness.open();
  harness.base();
  for (int i = 0; i < 2; ++i) {
    harness.write();
    harness.round();
  }
  const auto last_ms = harness.held_at().rbegin()->first;
  // Of another history: it goes further, but what it has in common is not the same.
  auto segment = decode(contents_of(harness.segment_files().back()));
  auto other = segment.commits.back();
  other.batch += "another";
  auto next = other;
  next.sequence = other.last_sequence() + 1;
  next.time_ms = other.time_ms + 1;
  segment.commits = {other, next};
  segment.previous = {};
  LineageFolder folder(store::TargetFiles(), harness.shipper_options().target,
                       harness.shipper().lineage());
  auto encoded = encode(segment);
  folder.write(LineageFolder::new_name(segment, encoded.size(), harness.ids()), encoded);
  auto request = harness.request(std::nullopt);
  auto restored = harness.restore_to(request);
  EXPECT_FALSE(restored.complete);
  ASSERT_THAT(restored.problems, Not(IsEmpty()));
  EXPECT_THAT(restored.problems.front(), HasSubstr("does not follow"));
  EXPECT_EQ(restored.last_commit_ms, last_ms);
  EXPECT_EQ(harness.held_in(request.data), held_by(harness.store()));
}

// What a restore asks for, a proof that it is possible must ask for too.
TEST(HistoryTest, ALogThatIsNotOfTheHistoryOfABaseIsNoProof) {
  for (const std::size_t which : {0U, 1U}) {
    BackupHarness harness;
    harness.open();
    for (int i = 0; i < 3; ++i) {
      harness.write();
      harness.base();
      harness.write();
      harness.round();
    }
    LineageFolder folder(store::TargetFiles(), harness.shipper_options().target,
                         harness.shipper().lineage());
    // Behind the first, whose log began with it, no segment says what comes before it.
    folder.remove(folder.bases().records.front());
    EXPECT_THAT(harness.verified().front().problems, IsEmpty());
    auto record = folder.bases().records.at(which);
    ASSERT_NE(record.digest, Digest{});
    folder.remove(record);
    record.digest[0] ^= 1;
    record = folder.write(record, harness.ids());
    auto restored = harness.restore_to(harness.request(record.time_ms + 1));
    EXPECT_THAT(restored.problems, Not(IsEmpty()));
    EXPECT_THAT(harness.verified().front().problems, testing::SizeIs(1)) << which;
  }
}

TEST(HistoryTest, ABaseThatIsNotWhatItsRecordSaysIsNoProof) {
  BackupHarness harness;
  harness.open();
  harness.write();
  harness.base();
  harness.write();
  harness.base();
  LineageFolder folder(store::TargetFiles(), harness.shipper_options().target,
                       harness.shipper().lineage());
  const auto whole = folder.bases().records.front();
  auto more_commits = whole;
  ++more_commits.until_sequence;
  auto later = whole;
  ++later.time_ms;
  for (const auto& other : {more_commits, later}) {
    folder.remove(folder.bases().records.front());
    folder.write(other, harness.ids());
    const auto verified = harness.verified().front();
    EXPECT_THAT(verified.problems,
                testing::ElementsAre(HasSubstr("other commits than its record")));
    EXPECT_EQ(verified.bases, 1U);
    // The older one is all that there is for this moment, and no other for a later one.
    EXPECT_THROW(harness.restore_to(harness.request(other.time_ms)), Error);
    EXPECT_THAT(harness.restore_to(harness.request(std::nullopt)).problems, IsEmpty());
  }
}

// At the very ends of the windows too, and where a later run of the server begins the log anew.
TEST(HistoryTest, WhatTheProofSaysOfAMomentARestoreOfItSaysToo) {
  BackupHarness harness;
  harness.shipper_options().log_limit_bytes = 1;
  harness.open();
  for (int run = 0; run < 3; ++run) {
    harness.write();
    harness.base();
    harness.write();
    harness.round();
    if (run == 2) continue;
    for (int i = 0; i < 2; ++i) {
      harness.write();
      harness.store().flush_and_compact();
    }
    harness.shipper().guard_log();
    if (run == 0) continue;
    harness.close();
    harness.open();
  }
  const auto verified = harness.verified().front();
  EXPECT_THAT(verified.problems, IsEmpty());
  ASSERT_EQ(verified.windows.size(), 3U);
  EXPECT_EQ(verified.gaps.size(), 2U);
  std::set<std::int64_t> moments;
  for (const auto& [at_ms, held] : harness.held_at()) moments.insert(at_ms);
  for (const auto& window : verified.windows) {
    moments.insert({window.from_ms, window.to_ms, window.to_ms + 1});
  }
  std::size_t whole = 0;
  for (auto at_ms : moments) {
    if (at_ms < verified.windows.front().from_ms) continue;
    const bool proved = std::any_of(
        verified.windows.begin(), verified.windows.end(),
        [at_ms](const auto& window) { return window.from_ms <= at_ms && at_ms <= window.to_ms; });
    auto request = harness.request(at_ms);
    auto restored = harness.restore_to(request);
    EXPECT_EQ(restored.complete, proved) << to_text_utc(at_ms);
    EXPECT_THAT(restored.problems, IsEmpty());
    EXPECT_EQ(restored.gaps.empty(), restored.complete || restored.never_shipped);
    if (!restored.complete) continue;
    ++whole;
    EXPECT_EQ(harness.held_in(request.data), harness.held_before(at_ms)) << to_text_utc(at_ms);
  }
  EXPECT_GE(whole, 6U);
}

// Bases share table files, and a damaged one with them all.
TEST(HistoryTest, ADamagedTableThatIsRemovedIsCopiedAnew) {
  BackupHarness harness;
  harness.open();
  harness.write();
  harness.base();
  harness.write(1);
  harness.base();
  std::string shared;
  auto folder = harness.lineage_path() + "/bases/shared_checksum";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (shared.empty() || entry.path().string() < shared) shared = entry.path().string();
  }
  auto damaged = contents_of(shared);
  damaged[damaged.size() / 2] ^= 1;
  write_contents(shared, damaged);
  harness.base();
  EXPECT_THAT(harness.verified().front().problems, testing::SizeIs(3));
  std::filesystem::remove(shared);
  harness.base();
  auto verified = harness.verified().front();
  EXPECT_THAT(verified.problems, IsEmpty());
  EXPECT_EQ(verified.bases, 4U);
}

// A folder in the place of a file is read as badly as a bad sector.
TEST(HistoryTest, AFileThatCannotBeReadIsDamaged) {
  BackupHarness harness;
  harness.open();
  harness.base();
  for (int i = 0; i < 4; ++i) {
    harness.write();
    harness.round();
  }
  auto bad = harness.segment_files()[2];
  std::filesystem::remove(bad);
  std::filesystem::create_directory(bad);
  auto request = harness.request(std::nullopt);
  auto restored = harness.restore_to(request);
  EXPECT_FALSE(restored.complete);
  ASSERT_THAT(restored.problems, Not(IsEmpty()));
  EXPECT_THAT(restored.problems.front(), HasSubstr(std::filesystem::path(bad).filename().string()));
  EXPECT_EQ(harness.held_in(request.data), harness.held_before(restored.last_commit_ms));
  EXPECT_THAT(harness.verified().front().problems, Not(IsEmpty()));
}

TEST(HistoryTest, ACommitThatCannotBeAppliedEndsNeitherTheProofNorTheRestore) {
  BackupHarness harness;
  harness.open();
  harness.base();
  harness.write();
  harness.round();
  const auto held = held_by(harness.store());
  LineageFolder folder(store::TargetFiles(), harness.shipper_options().target,
                       harness.shipper().lineage());
  auto before = decode(contents_of(harness.segment_files().back())).commits.back();
  Segment segment;
  segment.lineage = harness.shipper().lineage();
  segment.previous = digest_of(before);
  segment.commits = {{before.last_sequence() + 1, 1, before.time_ms, "no batch at all"}};
  auto encoded = encode(segment);
  folder.write(LineageFolder::new_name(segment, encoded.size(), harness.ids()), encoded);
  auto verified = harness.verified();
  EXPECT_THAT(verified.front().problems, Not(IsEmpty()));
  EXPECT_EQ(verified.front().windows.size(), 1U);
  auto request = harness.request(std::nullopt);
  auto restored = harness.restore_to(request);
  EXPECT_FALSE(restored.complete);
  EXPECT_THAT(restored.problems, Not(IsEmpty()));
  EXPECT_EQ(harness.held_in(request.data), held);
}

}  // namespace
}  // namespace colloquy::backup
