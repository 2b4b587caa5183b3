// What a target may do to a server that ships into it, and others who use it.
#include <gmock/gmock.h>

#include "backup/backup_harness.h"
#include "store/testing/faulty_file_system.h"

namespace colloquy::backup {
namespace {

using store::FaultyFileSystem;
using testing::IsEmpty;

constexpr std::int64_t kLongEnoughMs = 10'000;  // for the owner to be looked at again

void expect_last_moment(BackupHarness& harness) {
  auto request = harness.request(std::nullopt);
  request.lineage = harness.shipper().lineage();
  auto restored = harness.restore_to(request);
  EXPECT_TRUE(restored.complete);
  EXPECT_THAT(restored.problems, IsEmpty());
  EXPECT_EQ(harness.held_in(request.data), held_by(harness.store()));
}

ErrorCode code_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::kInternal;
}

std::string given_up(BackupHarness& harness) {
  auto text = harness.metrics().render();
  auto at = text.find("\ncolloquy_backup_log_given_up_total ");
  return text.substr(at + 1, text.find('\n', at + 1) - at - 1);
}

std::size_t files_in(const std::string& folder) { return store::TargetFiles().list(folder).size(); }

void erase(store::Erasures& erasures, const UserId& user) {
  run_task(erasures.begin_erasure(user));
  const auto erasure = run_task(erasures.unfinished_erasures()).at(0);
  while (run_task(erasures.erase_some(erasure)) != store::Erasures::Left::kNothing) {
  }
  run_task(erasures.end_erasure(erasure, run_task(erasures.seal_erasure(erasure))));
}

TEST(TargetTest, OneThatIsAwayForAMomentIsWaitedFor) {
  BackupHarness harness;
  harness.open();
  harness.base();
  harness.write();
  harness.round();
  auto lineage = harness.shipper().lineage();
  auto target = harness.shipper_options().target;
  std::filesystem::rename(target, target + ".away");
  harness.write();
  harness.clock().advance_ms(kLongEnoughMs);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(code_of([&] { harness.round(); }), ErrorCode::kUnavailable);
    EXPECT_FALSE(std::filesystem::exists(target));
  }
  std::filesystem::rename(target + ".away", target);
  harness.round();
  EXPECT_EQ(harness.shipper().lineage(), lineage);
  EXPECT_TRUE(harness.shipper().restorable());
  expect_last_moment(harness);
}

// The mount point of a share that is out looks like that.
TEST(TargetTest, AFolderInThePlaceOfOneThatIsAwayIsNotBegunIn) {
  BackupHarness harness;
  harness.open();
  harness.base();
  harness.write();
  harness.round();
  auto lineage = harness.shipper().lineage();
  auto target = harness.shipper_options().target;
  std::filesystem::rename(target, target + ".away");
  std::filesystem::create_directory(target);
  harness.write();
  harness.clock().advance_ms(kLongEnoughMs);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(code_of([&] { harness.round(); }), ErrorCode::kUnavailable);
    EXPECT_EQ(code_of([&] { harness.base(); }), ErrorCode::kUnavailable);
    EXPECT_TRUE(std::filesystem::is_empty(target));
  }
  std::filesystem::remove(target);
  std::filesystem::rename(target + ".away", target);
  harness.round();
  EXPECT_EQ(harness.shipper().lineage(), lineage);
  EXPECT_TRUE(harness.shipper().restorable());
  expect_last_moment(harness);
}

TEST(TargetTest, TheErasedAreNotedOnlyInTheTargetItself) {
  BackupHarness harness;
  harness.open();
  auto target = harness.shipper_options().target;
  auto list = target + "/erased";
  auto note = [&](std::int64_t at_ms) {
    return code_of([&] {
      harness.shipper().note_erased({{store::erased_name(UserId("alice")), at_ms}});
      throw Error(ErrorCode::kNotFound, "It was noted.");
    });
  };
  std::filesystem::create_directory(target);
  EXPECT_EQ(note(1), ErrorCode::kUnavailable) << "no round has looked at it";
  EXPECT_TRUE(std::filesystem::is_empty(target));
  harness.base();
  EXPECT_EQ(note(1), ErrorCode::kNotFound);
  EXPECT_EQ(note(1), ErrorCode::kNotFound);
  EXPECT_EQ(files_in(list), 1U);
  std::filesystem::copy(target, target + ".old", std::filesystem::copy_options::recursive);
  harness.begin_backup();
  harness.round();
  std::filesystem::rename(target, target + ".away");
  EXPECT_EQ(note(2), ErrorCode::kUnavailable) << "nothing is there";
  EXPECT_FALSE(std::filesystem::exists(target));
  std::filesystem::create_directory(target);
  EXPECT_EQ(note(2), ErrorCode::kUnavailable) << "an empty folder";
  EXPECT_TRUE(std::filesystem::is_empty(target));
  std::filesystem::remove(target);
  std::filesystem::rename(target + ".old", target);
  EXPECT_EQ(note(2), ErrorCode::kUnavailable) << "an older backup of the same database";
  EXPECT_EQ(files_in(list), 1U);
  std::filesystem::remove_all(target);
  std::filesystem::rename(target + ".away", target);
  EXPECT_EQ(note(2), ErrorCode::kNotFound);
  EXPECT_EQ(files_in(list), 2U);
}

// It was written into a folder that went away with it, say.
TEST(TargetTest, WhomTheTargetDoesNotListIsAddedOnceItIsBackAndWithEachBase) {
  BackupHarness harness;
  harness.open();
  harness.base();
  harness.write();
  harness.round();
  auto target = harness.shipper_options().target;
  auto list = target + "/erased";
  std::filesystem::rename(target, target + ".away");
  erase(harness.store(), UserId("alice"));
  harness.clock().advance_ms(kLongEnoughMs);
  EXPECT_EQ(code_of([&] { harness.round(); }), ErrorCode::kUnavailable);
  std::filesystem::rename(target + ".away", target);
  harness.round();
  EXPECT_EQ(files_in(list), 1U);
  std::filesystem::rename(target, target + ".new");
  std::filesystem::copy(target + ".new", target, std::filesystem::copy_options::recursive);
  std::filesystem::remove_all(list);
  harness.clock().advance_ms(kLongEnoughMs);
  harness.round();
  EXPECT_EQ(files_in(list), 1U) << "in a copy of before";
  std::filesystem::remove_all(list);
  harness.base();
  EXPECT_EQ(files_in(list), 1U);
  std::filesystem::remove_all(list);
  harness.shipper().want_base(nullptr);
  harness.round();
  EXPECT_EQ(files_in(list), 1U) << "before the base that somebody waits for";
  std::filesystem::remove_all(list);
  harness.begin_backup();
  harness.round();
  EXPECT_EQ(files_in(list), 1U) << "at a start";
}

// Whoever waits for a base is not told that all is there while the list is not.
TEST(TargetTest, ABaseThatIsAskedForWaitsForTheListOfTheErased) {
  BackupHarness harness;
  harness.open();
  harness.base();
  erase(harness.store(), UserId("alice"));
  auto list = harness.shipper_options().target + "/erased";
  write_contents(list, "no folder");
  harness.shipper().want_base(nullptr);
  EXPECT_THROW(harness.round(), Error);
  EXPECT_TRUE(harness.shipper().want_none()) << "none has begun";
  std::filesystem::remove(list);
  harness.round();
  EXPECT_EQ(files_in(list), 1U);
}

// It goes on in a restored database that has its record, and the older ones have none.
TEST(TargetTest, WhoIsBeingErasedDuringABackupByHandIsLeftOutOfWhatIsOlder) {
  BackupHarness harness;
  harness.open();
  harness.create(UserId("alice"), "hers");
  harness.create(UserId("bob"), "his");
  const auto before_ms = harness.clock().now_ms();
  harness.base();
  harness.clock().advance_ms(1'000);
  run_task(harness.store().begin_erasure(UserId("alice")));
  harness.clock().advance_ms(1'000);
  harness.base();
  auto request = harness.request(before_ms);
  request.erased.read_target(store::TargetFiles(), request.target);
  EXPECT_TRUE(harness.restore_to(request).complete);
  auto held = harness.held_in(request.data).users;
  EXPECT_THAT(held["alice"], IsEmpty());
  EXPECT_EQ(held["bob"].size(), 1U);
  auto later = harness.request(std::nullopt);
  later.erased.read_target(store::TargetFiles(), later.target);
  harness.restore_to(later);
  auto options = harness.store_options();
  options.path = later.data + "/store";
  telemetry::Metrics metrics;
  auto restored = store::RocksDbStore::open(options, harness.clock(), harness.ids(), metrics);
  EXPECT_EQ(run_task(restored->unfinished_erasures()).size(), 1U) << "it goes on there";
}

TEST(TargetTest, OneThatIsNotThereIsNotMadeForAServer) {
  BackupHarness harness;
  harness.shipper_options().makes_target = false;
  harness.open();
  EXPECT_EQ(code_of([&] { harness.round(); }), ErrorCode::kUnavailable);
  EXPECT_FALSE(std::filesystem::exists(harness.shipper_options().target));
  std::filesystem::create_directory(harness.shipper_options().target);
  harness.base();
  expect_last_moment(harness);
}

TEST(TargetTest, WhatSomebodyRemovedIsBegunAnew) {
  BackupHarness harness;
  harness.open();
  harness.base();
  harness.write();
  harness.round();
  std::filesystem::remove_all(harness.lineage_path());
  harness.write();
  harness.clock().advance_ms(kLongEnoughMs);
  harness.round();
  EXPECT_FALSE(harness.shipper().restorable());
  harness.base();
  EXPECT_TRUE(harness.shipper().restorable());
  harness.write();
  harness.round();
  expect_last_moment(harness);
}

TEST(TargetTest, AForeignNameIsNobodysMark) {
  BackupHarness harness;
  harness.open();
  harness.base();
  write_contents(harness.lineage_path() + "/owner-zzz", "");
  harness.clock().advance_ms(kLongEnoughMs);
  EXPECT_NO_THROW(harness.round());
}

TEST(TargetTest, AMarkOfBeforeSequencesWereSaidIsReadAndReplaced) {
  BackupHarness harness;
  harness.open();
  harness.base();
  LineageFolder folder(store::TargetFiles(), harness.shipper_options().target,
                       harness.shipper().lineage());
  const auto marks = [&] {
    auto names = folder.files().list(folder.path());
    std::erase_if(names, [](const auto& name) { return !name.starts_with("caught-up-"); });
    return names;
  };
  ASSERT_THAT(marks(), testing::SizeIs(1));
  folder.files().remove(folder.path() + "/" + marks().front());
  for (const auto* foreign : {"caught-up-", "caught-up-x", "caught-up-00000001700000009000-",
                              "caught-up-00000001700000009000_00000000000000000007"}) {
    write_contents(folder.path() + "/" + foreign, "");
    EXPECT_EQ(folder.caught_up().time_ms, 0) << foreign;
    folder.files().remove(folder.path() + "/" + foreign);
  }
  write_contents(folder.path() + "/caught-up-00000001700000005000", "");
  EXPECT_EQ(folder.caught_up().time_ms, 1'700'000'005'000);
  EXPECT_EQ(folder.caught_up().sequence, 0U);
  EXPECT_TRUE(harness.restore_to(harness.request(1'700'000'005'000)).complete);
  folder.set_caught_up({1'700'000'006'000, 7});
  EXPECT_THAT(marks(), testing::ElementsAre("caught-up-00000001700000006000-00000000000000000007"));
  EXPECT_EQ(folder.caught_up().time_ms, 1'700'000'006'000);
  EXPECT_EQ(folder.caught_up().sequence, 7U);
}

TEST(TargetTest, ARunThatNoBaseNeedsIsForgotten) {
  BackupHarness harness;
  harness.open();
  harness.base();
  LineageFolder folder(store::TargetFiles(), harness.shipper_options().target,
                       harness.shipper().lineage());
  folder.set_caught_up({1, 30});
  for (const std::uint64_t end : {10U, 20U, 20U}) folder.end_run(end);
  EXPECT_THAT(folder.run_ends(), testing::ElementsAre(10U, 20U, 30U));
  folder.forget_runs_up_to(19);
  EXPECT_THAT(folder.run_ends(), testing::ElementsAre(20U, 30U));
}

TEST(TargetTest, TwoOnOneFolderDoNotMeetWhicheverWayTheyCame) {
  BackupHarness harness;
  harness.open();
  harness.base();
  std::filesystem::create_directory_symlink(harness.shipper_options().target,
                                            harness.folder() / "link");
  auto options = harness.shipper_options();
  options.target = harness.folder() / "link";
  ShipperMetrics metrics(harness.metrics());
  auto source = harness.store().backup_source();
  Shipper other(*source, store::TargetFiles(), harness.clock(), harness.ids(), metrics, options);
  EXPECT_EQ(code_of([&] { other.round_with_base(nullptr); }), ErrorCode::kUnavailable);
  harness.write();
  harness.clock().advance_ms(kLongEnoughMs);
  harness.round();
  expect_last_moment(harness);
}

TEST(TargetTest, ABaseOfAServerThatIsNoLongerTheOneIsNotRecorded) {
  BackupHarness harness;
  harness.open();
  harness.base();
  bool taken_over = false;
  auto take_over = [&](std::uint64_t, std::uint64_t) {
    if (std::exchange(taken_over, true)) return;
    LineageFolder(store::TargetFiles(), harness.shipper_options().target,
                  harness.shipper().lineage())
        .take_over(harness.clock().now_ms() + 1, harness.ids());
  };
  EXPECT_EQ(code_of([&] { harness.shipper().round_with_base(take_over); }), ErrorCode::kConflict);
  EXPECT_EQ(harness.verified().front().bases, 1U);
}

// Gives the log up between two bases, and is stopped before the second is whole.
TEST(TargetTest, ARestartDoesNotForgetThatABaseIsNeeded) {
  BackupHarness harness;
  harness.shipper_options().log_limit_bytes = 1;
  harness.open();
  harness.base();
  harness.write();
  harness.round();
  for (int i = 0; i < 2; ++i) {
    harness.write();
    harness.store().flush_and_compact();
  }
  harness.shipper().guard_log();
  harness.source().stop();
  harness.round();  // begins a base, which is interrupted
  harness.write();
  for (int i = 0; i < 2; ++i) {
    try {
      harness.round();
    } catch (const Error&) {
    }
  }
  EXPECT_FALSE(harness.shipper().restorable());
  harness.close();
  harness.open();
  harness.round();
  EXPECT_FALSE(harness.shipper().restorable());
  harness.base();
  EXPECT_TRUE(harness.shipper().restorable());
  EXPECT_EQ(harness.verified().front().windows.size(), 2U);
  expect_last_moment(harness);
}

TEST(TargetTest, TheLogIsGivenUpBeforeTheDiskIsTooFullForWrites) {
  BackupHarness harness;
  auto disk = std::make_shared<FaultyFileSystem>();
  harness.store_options().file_system = disk;
  harness.shipper_options().min_free_disk_bytes = 1'000;
  harness.open();
  harness.base();
  harness.write();
  harness.store().flush_and_compact();
  EXPECT_GT(harness.source().kept_log_bytes(), 0U);
  harness.shipper().guard_log();
  EXPECT_GT(harness.source().kept_log_bytes(), 0U);
  disk->set_free_space(2'000);
  harness.shipper().guard_log();
  EXPECT_EQ(harness.source().kept_log_bytes(), 0U);
  EXPECT_EQ(given_up(harness), "colloquy_backup_log_given_up_total 1");
}

TEST(TargetTest, ABackupByHandShortensNoWindow) {
  BackupHarness harness;
  harness.shipper_options().keep = std::chrono::hours(1);
  harness.open();
  auto take_three = [&] {
    for (int i = 0; i < 3; ++i) {
      harness.write(1);
      harness.base();
    }
  };
  take_three();
  harness.shipper_options().keep = std::chrono::seconds(1);
  harness.shipper_options().owns_log = false;
  harness.begin_backup();
  take_three();
  EXPECT_EQ(harness.verified().front().bases, 6U);
  // The server's own setting is another matter.
  harness.shipper_options().owns_log = true;
  harness.begin_backup();
  take_three();
  for (int i = 0; i < 8; ++i) harness.round();
  EXPECT_LE(harness.verified().front().bases, 3U);
}

TEST(TargetTest, AClockThatWasAheadKeepsNoBaseForEver) {
  BackupHarness harness;
  harness.shipper_options().keep = std::chrono::seconds(20);
  harness.open();
  const auto now_ms = harness.clock().now_ms();
  harness.clock().advance_ms(std::int64_t{1'000'000} * 1'000);
  harness.write();
  harness.clock().set_ms(now_ms);
  for (int i = 0; i < 8; ++i) {
    harness.write();
    harness.clock().advance_ms(30'000);
    harness.base();
  }
  EXPECT_LE(harness.verified().front().bases, 3U);
  expect_last_moment(harness);
}

TEST(TargetTest, WhatAnotherSegmentHoldsWholeGoes) {
  BackupHarness harness;
  harness.open();
  harness.base();
  for (int i = 0; i < 3; ++i) {
    harness.write();
    harness.round();
  }
  harness.close();
  auto first = harness.segment_files().front();
  auto whole = contents_of(first);
  auto torn = first.substr(0, first.size() - 24) + "0000000000000000.segment";
  ASSERT_EQ(torn.size(), first.size());
  write_contents(torn, whole.substr(0, whole.size() / 2));
  harness.open();
  harness.round();
  EXPECT_FALSE(std::filesystem::exists(torn));
  EXPECT_TRUE(std::filesystem::exists(first));
  EXPECT_THAT(harness.verified().front().problems, IsEmpty());
}

// A database that was set back before its last base, and has grown past it since.
TEST(TargetTest, ALogIsNotJoinedToABaseOfAnotherHistory) {
  BackupHarness harness;
  harness.open();
  harness.write();
  harness.close();
  std::filesystem::copy(harness.folder() / "data", harness.folder() / "snapshot",
                        std::filesystem::copy_options::recursive);
  harness.open();
  harness.write();
  harness.base();
  auto lineage = harness.shipper().lineage();
  auto was = held_by(harness.store());
  harness.close();
  std::filesystem::remove_all(harness.folder() / "data");
  std::filesystem::rename(harness.folder() / "snapshot", harness.folder() / "data");
  harness.open();
  harness.write(60);
  harness.base();
  EXPECT_NE(harness.shipper().lineage(), lineage);
  expect_last_moment(harness);
  auto request = harness.request(std::nullopt);
  request.lineage = lineage;
  EXPECT_THAT(harness.restore_to(request).problems, IsEmpty());
  EXPECT_EQ(harness.held_in(request.data), was);
}

}  // namespace
}  // namespace colloquy::backup
