#include "backup/restore.h"

#include <gmock/gmock.h>

#include "backup/backup_harness.h"

namespace colloquy::backup {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

void expect_every_moment(BackupHarness& harness) {
  for (const auto& [at_ms, held] : harness.held_at()) {
    auto request = harness.request(at_ms);
    auto restored = harness.restore_to(request);
    EXPECT_TRUE(restored.complete) << at_ms;
    EXPECT_THAT(restored.problems, IsEmpty()) << at_ms;
    EXPECT_EQ(harness.held_in(request.data), held) << at_ms;
  }
}

void expect_whole(BackupHarness& harness) {
  for (const auto& verified : harness.verified()) {
    EXPECT_THAT(verified.problems, IsEmpty());
    EXPECT_EQ(verified.windows.size(), 1U);
  }
}

TEST(RestoreTest, EverySecondIsAsItWas) {
  BackupHarness harness;
  harness.shipper_options().merged_segments = 4;
  harness.open();
  harness.base();
  for (int second = 0; second < 12; ++second) {
    harness.write();
    if (second % 3 != 2) harness.round();
    if (second == 5 || second == 9) harness.base();
  }
  harness.round();
  expect_whole(harness);
  expect_every_moment(harness);
}

TEST(RestoreTest, TheMomentIsTheLastCommitAtOrBeforeIt) {
  BackupHarness harness;
  harness.open();
  harness.base();
  auto first_ms = harness.clock().now_ms();
  harness.create(UserId("alice"), "first");
  harness.note();
  harness.create(UserId("alice"), "second");
  harness.note();
  harness.round();
  auto count_at = [&](std::int64_t at_ms) {
    auto request = harness.request(at_ms);
    harness.restore_to(request);
    return harness.held_in(request.data).users["alice"].size();
  };
  EXPECT_EQ(count_at(first_ms), 1U);
  EXPECT_EQ(count_at(first_ms + 999), 1U);
  EXPECT_EQ(count_at(first_ms + 1'000), 2U);
}

TEST(RestoreTest, GoesOnWhenSearchIsSwitchedOffAndOn) {
  BackupHarness harness;
  for (int start = 0; start < 4; ++start) {
    harness.store_options().keep_changes = start % 2 == 0;
    harness.open();
    if (start == 0) harness.base();
    harness.write();
    harness.round();
    harness.write();
    harness.close();
  }
  harness.store_options().keep_changes = true;
  harness.open();
  harness.round();
  auto sequence = harness.store().change_feed()->sequence();
  expect_whole(harness);
  harness.close();
  harness.store_options().keep_changes = false;
  expect_every_moment(harness);
  // An index of the store that was backed up must not be taken for one of the restored.
  auto request = harness.request(harness.held_at().rbegin()->first);
  harness.restore_to(request);
  auto options = harness.store_options();
  options.path = request.data + "/store";
  options.keep_changes = true;
  RandomIdSource ids;
  telemetry::Metrics metrics;
  auto restored = store::RocksDbStore::open(options, harness.clock(), ids, metrics);
  EXPECT_NE(restored->change_feed()->sequence(), sequence);
}

TEST(RestoreTest, GoesOnAcrossRestarts) {
  BackupHarness harness;
  harness.open();
  harness.base();
  for (int start = 0; start < 4; ++start) {
    harness.write();
    if (start % 2 == 0) harness.round();
    harness.write();  // behind the last segment
    if (start == 2) harness.store().flush_and_compact();
    harness.close();
    harness.open();
    harness.round();
  }
  expect_whole(harness);
  expect_every_moment(harness);
}

TEST(RestoreTest, ARestoredStoreIsBackedUpBesideTheOther) {
  BackupHarness harness;
  harness.open();
  harness.base();
  harness.write();
  harness.round();
  auto before = harness.held_at();
  auto request = harness.request(std::nullopt);
  harness.restore_to(request);
  auto first_lineage = harness.shipper().lineage();
  harness.close();
  harness.store_options().path = request.data + "/store";
  harness.open();
  harness.base();
  harness.write();
  harness.round();
  EXPECT_NE(harness.shipper().lineage(), first_lineage);
  EXPECT_EQ(harness.verified().size(), 2U);
  expect_whole(harness);
  for (const auto& [at_ms, held] : before) {
    auto old = harness.request(at_ms);
    old.lineage = first_lineage;
    harness.restore_to(old);
    EXPECT_EQ(harness.held_in(old.data), held);
  }
  try {
    harness.restore_to(harness.request(std::nullopt));
    ADD_FAILURE() << "two could be meant";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalid);
    EXPECT_THAT(error.message(), HasSubstr(lineage_name(first_lineage)));
  }
}

TEST(RestoreTest, WhatHasExpiredSinceIsKeptOnlyWhenAskedFor) {
  BackupHarness harness;
  harness.open();
  harness.base();
  auto past = harness.create(UserId("alice"), "expired even then", 10);
  harness.clock().advance_ms(20'000);
  auto expiring = harness.create(UserId("alice"), "expires later", 60);
  harness.append(expiring, "a message");
  harness.create(UserId("alice"), "stays");
  auto at_ms = harness.clock().now_ms();
  harness.clock().advance_ms(3'600'000);
  harness.store().sweep_now();
  harness.round();
  auto request = harness.request(at_ms);
  harness.restore_to(request);
  EXPECT_EQ(harness.held_in(request.data).users["alice"].size(), 1U);
  request = harness.request(at_ms);
  request.keep_expired = true;
  auto restored = harness.restore_to(request);
  EXPECT_EQ(restored.last_commit_ms, at_ms);
  harness.clock().advance_ms(3'600'000);
  auto held = harness.held_in(request.data).users["alice"];
  ASSERT_EQ(held.size(), 2U);
  EXPECT_EQ(held[1].conversation.title, "expires later");
  EXPECT_EQ(held[1].conversation.ttl_seconds, std::nullopt);
  EXPECT_EQ(held[1].messages.size(), 1U);
}

TEST(RestoreTest, WhatTheServersRetentionHasLetExpireIsKeptToo) {
  BackupHarness harness;
  harness.store_options().retention_seconds = 60;
  harness.open();
  harness.store().sweep_now();
  harness.base();
  harness.create(UserId("alice"), "expired even then");
  harness.clock().advance_ms(61'000);
  harness.append(harness.create(UserId("alice"), "expires later"), "a message");
  harness.create(UserId("alice"), "by its own", 30);
  auto at_ms = harness.clock().now_ms();
  harness.clock().advance_ms(3'600'000);
  harness.store().sweep_now();
  harness.round();
  auto kept = [&](std::optional<std::int64_t> retention_seconds) {
    auto request = harness.request(at_ms);
    request.keep_expired = true;
    request.retention_seconds = retention_seconds;
    harness.restore_to(request);
    std::vector<std::string> titles;
    auto held = harness.held_in(request.data);
    for (const auto& one : held.users["alice"]) {
      EXPECT_EQ(one.conversation.ttl_seconds, limits::kTtlSecondsMax);
      titles.push_back(one.conversation.title);
    }
    return titles;
  };
  const std::vector<std::string> both{"by its own", "expires later"};
  EXPECT_EQ(kept(std::nullopt), both);
  EXPECT_EQ(kept(60), both);
}

TEST(RestoreTest, AMomentLaterThanWhatIsThereIsToldApart) {
  BackupHarness harness;
  harness.open();
  harness.base();
  harness.create(UserId("alice"), "first");
  harness.clock().advance_ms(5'000);
  harness.round();
  // Nothing was committed since, and the target says so.
  harness.clock().advance_ms(60'000);
  harness.round();
  const auto caught_up_ms = harness.clock().now_ms();
  auto known = harness.restore_to(harness.request(caught_up_ms));
  EXPECT_TRUE(known.complete);
  EXPECT_EQ(known.caught_up_ms, caught_up_ms);
  harness.clock().advance_ms(60'000);
  harness.create(UserId("alice"), "never shipped");
  auto unknown = harness.restore_to(harness.request(harness.clock().now_ms()));
  EXPECT_FALSE(unknown.complete);
  EXPECT_EQ(unknown.caught_up_ms, caught_up_ms);
  EXPECT_EQ(unknown.conversations, 1U);
  EXPECT_TRUE(unknown.never_shipped);
  EXPECT_THAT(unknown.problems, IsEmpty());
  // The last that there is was not asked for by a moment.
  EXPECT_TRUE(harness.restore_to(harness.request(std::nullopt)).complete);
}

TEST(RestoreTest, UsersCanBeLeftOut) {
  BackupHarness harness;
  harness.open();
  harness.base();
  auto bobs = harness.create(UserId("bob"), "of bob");
  harness.append(bobs, "a message");
  harness.base();
  harness.create(UserId("bob"), "of bob, in the log");
  harness.create(UserId("alice"), "of alice");
  harness.note();
  harness.round();
  auto request = harness.request(std::nullopt);
  request.leave_out = [](const UserId& user) { return user.value() == "bob"; };
  auto restored = harness.restore_to(request);
  EXPECT_EQ(restored.conversations, 1U);
  auto held = harness.held_in(request.data);
  EXPECT_THAT(held.users["bob"], IsEmpty());
  EXPECT_EQ(held.users["alice"].size(), 1U);
}

TEST(RestoreTest, AFolderThatIsNotEmptyIsRefused) {
  BackupHarness harness;
  harness.open();
  harness.base();
  auto request = harness.request(std::nullopt);
  std::filesystem::create_directory(request.data);
  write_contents(request.data + "/mine", "x");
  EXPECT_THROW(harness.restore_to(request), Error);
  EXPECT_EQ(contents_of(request.data + "/mine"), "x");
}

// They belong there, and whoever restores may have been quick.
TEST(RestoreTest, OneThatWasKilledIsBegunAgainBesideWhatIsInNoBackup) {
  BackupHarness harness;
  harness.open();
  harness.write();
  harness.base();
  auto request = harness.request(std::nullopt);
  std::filesystem::create_directories(request.data + "/files/alice");
  write_contents(request.data + "/files/alice/mine", "x");
  write_contents(request.data + "/token.key", "k");
  EXPECT_THROW(harness.restore_to(request), Error) << "nothing was killed there";
  std::filesystem::create_directory(request.data + "/restoring");
  write_contents(request.data + "/restoring/half", "h");
  write_contents(request.data + "/other", "o");
  try {
    harness.restore_to(request);
    ADD_FAILURE() << "into a folder with something else";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalid);
    EXPECT_THAT(error.message(), HasSubstr("it has other."));
  }
  EXPECT_EQ(contents_of(request.data + "/restoring/half"), "h");
  std::filesystem::remove(request.data + "/other");
  EXPECT_TRUE(harness.restore_to(request).complete);
  EXPECT_EQ(harness.held_in(request.data), held_by(harness.store()));
  EXPECT_FALSE(std::filesystem::exists(request.data + "/store/half"));
  EXPECT_EQ(contents_of(request.data + "/token.key"), "k");
  EXPECT_EQ(contents_of(request.data + "/files/alice/mine"), "x");
  EXPECT_THROW(harness.restore_to(request), Error) << "it has ended";
}

TEST(RestoreTest, AMomentBeforeTheBackupIsRefused) {
  BackupHarness harness;
  harness.open();
  harness.base();
  auto request = harness.request(harness.clock().now_ms() - 1);
  EXPECT_THROW(harness.restore_to(request), Error);
  EXPECT_FALSE(std::filesystem::exists(request.data));
}

// Damages each segment in each way: the restore names it, and ends with the last good second.
TEST(RestoreTest, GoesUpToWhatIsDamagedAndNamesIt) {
  BackupHarness harness;
  harness.open();
  harness.base();
  for (int second = 0; second < 5; ++second) {
    harness.write();
    harness.round();
  }
  harness.shipper().ship_rest();
  const auto begin_ms = harness.held_at().begin()->first;
  const auto files = harness.segment_files();
  ASSERT_GE(files.size(), 5U);
  for (std::size_t i = 0; i < files.size(); ++i) {
    const auto whole = contents_of(files[i]);
    auto flipped = whole;
    flipped[whole.size() / 2] ^= 1;
    for (const auto& damaged : {std::string(), whole.substr(0, whole.size() / 2), flipped}) {
      write_contents(files[i], damaged);
      auto request = harness.request(std::nullopt);
      auto restored = harness.restore_to(request);
      EXPECT_FALSE(restored.complete);
      ASSERT_THAT(restored.problems, Not(IsEmpty()));
      EXPECT_THAT(restored.problems.front(),
                  HasSubstr(std::filesystem::path(files[i]).filename().string()));
      if (restored.last_commit_ms >= begin_ms) {
        EXPECT_EQ(harness.held_in(request.data), harness.held_before(restored.last_commit_ms));
      }
      EXPECT_THAT(harness.verified().front().problems, Not(IsEmpty()));
      write_contents(files[i], whole);
    }
    std::filesystem::remove(files[i]);
    auto request = harness.request(std::nullopt);
    auto restored = harness.restore_to(request);
    EXPECT_FALSE(restored.complete);
    EXPECT_THAT(restored.problems, ElementsAre(HasSubstr("in no segment")));
    EXPECT_THAT(harness.verified().front().problems, Not(IsEmpty()));
    write_contents(files[i], whole);
  }
  expect_every_moment(harness);
}

// The mark of the later run has taken the place of the earlier one's.
TEST(RestoreTest, ALostEndOfAnEarlierRunIsToldFromWhatNobodyHasShipped) {
  BackupHarness harness;
  harness.shipper_options().log_limit_bytes = 1;
  harness.open();
  harness.base();
  for (int i = 0; i < 2; ++i) {
    harness.write();
    harness.round();
  }
  const auto shipped_ms = harness.held_at().rbegin()->first;
  const auto last = harness.segment_files().back();
  for (int i = 0; i < 2; ++i) {
    harness.write();
    harness.store().flush_and_compact();
  }
  harness.shipper().guard_log();
  harness.base();
  harness.write();
  harness.round();
  harness.shipper().ship_rest();
  EXPECT_THAT(harness.verified().front().problems, IsEmpty());
  EXPECT_THAT(harness.verified().front().gaps, ElementsAre(HasSubstr("in no segment")));
  std::filesystem::remove(last);
  auto verified = harness.verified().front();
  EXPECT_THAT(verified.problems, ElementsAre(HasSubstr("in no segment")));
  EXPECT_THAT(verified.gaps, ElementsAre(HasSubstr("in no segment")));
  EXPECT_EQ(verified.windows.size(), 2U);
  auto restored = harness.restore_to(harness.request(shipped_ms));
  EXPECT_FALSE(restored.complete);
  EXPECT_EQ(restored.problems, verified.problems);
  EXPECT_EQ(restored.gaps, verified.gaps);
}

TEST(RestoreTest, AnOlderBaseServesWhereANewerOneIsDamaged) {
  BackupHarness harness;
  harness.open();
  harness.base();
  harness.write(20);
  harness.round();
  harness.base();
  harness.write();
  harness.round();
  auto shared = harness.lineage_path() + "/bases/shared_checksum";
  // The newest table is of the newer base alone.
  std::string newest;
  for (const auto& entry : std::filesystem::directory_iterator(shared)) {
    newest = std::max(newest, entry.path().string());
  }
  auto whole = contents_of(newest);
  auto damaged = whole;
  damaged[damaged.size() / 2] ^= 1;
  for (const auto& contents : {damaged, whole.substr(0, whole.size() / 2)}) {
    write_contents(newest, contents);
    auto request = harness.request(std::nullopt);
    auto restored = harness.restore_to(request);
    EXPECT_TRUE(restored.complete);
    EXPECT_THAT(restored.problems, Not(IsEmpty()));
    EXPECT_EQ(harness.held_in(request.data), harness.held_at().rbegin()->second);
    EXPECT_THAT(harness.verified().front().problems, Not(IsEmpty()));
  }
  std::filesystem::remove(newest);
  auto request = harness.request(std::nullopt);
  auto restored = harness.restore_to(request);
  EXPECT_TRUE(restored.complete);
  EXPECT_EQ(harness.held_in(request.data), harness.held_at().rbegin()->second);
}

TEST(RestoreTest, TheClockMayGoBack) {
  BackupHarness harness;
  harness.open();
  harness.base();
  harness.write();
  harness.round();
  auto last_ms = harness.held_at().rbegin()->first;
  harness.clock().set_ms(last_ms - 3'600'000);
  harness.close();
  harness.open();
  harness.write_once();
  harness.round();
  auto now = held_by(harness.store());
  expect_whole(harness);
  // A round in which the owner is looked for, which is when the target says how far it has come.
  harness.clock().set_ms(last_ms + 20'000);
  harness.round();
  auto request = harness.request(last_ms + 500);
  EXPECT_TRUE(harness.restore_to(request).complete);
  EXPECT_EQ(harness.held_in(request.data), now);
}

}  // namespace
}  // namespace colloquy::backup
