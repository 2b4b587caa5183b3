#include "backup/continuous.h"

#include <gmock/gmock.h>

#include <atomic>
#include <future>
#include <thread>

#include "backup/backup_harness.h"
#include "store/testing/faulty_file_system.h"

namespace colloquy::backup {
namespace {

using testing::IsEmpty;

// Real time, real threads: writers, a backup that renews its base all the time, requests beside it,
// and the database reopened under it.
TEST(ContinuousBackupTest, UnderLoadNothingIsMissing) {
  BackupHarness harness;
  SystemClock clock;
  auto options = harness.store_options();
  options.sweep_interval = std::chrono::milliseconds(50);
  auto store = store::RocksDbStore::open(options, clock, harness.ids(), harness.metrics());
  auto shipping = harness.shipper_options();
  shipping.base_age = std::chrono::seconds(0);
  shipping.merged_segments = 8;
  ContinuousBackup backup(store->backup_source(), store::TargetFiles(), clock, harness.ids(),
                          harness.metrics(), shipping, std::chrono::milliseconds(5));
  std::atomic<bool> done{false};
  std::vector<std::thread> writers;
  for (const auto& user : harness_users()) {
    writers.emplace_back([&, user] {
      store::NewConversation fresh{"busy", "", {}, std::nullopt};
      auto conversation =
          run_task(store->create_conversation(user, fresh, std::nullopt)).conversation;
      store::NewMessage message{store::Role::kUser, std::string(500, 'm'), {}, ""};
      while (!done) {
        run_task(store->append_message(user, conversation.id, message, std::nullopt));
      }
    });
  }
  for (int i = 0; i < 5; ++i) {
    backup.run_now(nullptr);
    store->flush_and_compact();
  }
  done = true;
  for (auto& writer : writers) writer.join();
  EXPECT_TRUE(backup.stop(std::chrono::seconds(60)));
  auto request = harness.request(std::nullopt);
  auto restored = harness.restore_to(request);
  EXPECT_TRUE(restored.complete);
  EXPECT_THAT(restored.problems, IsEmpty());
  EXPECT_EQ(harness.held_in(request.data), held_by(*store));
  EXPECT_THAT(harness.verified().front().problems, IsEmpty());
}

// The seconds go on while somebody waits for a base.
TEST(ContinuousBackupTest, WhatIsCommittedDuringABaseIsShipped) {
  BackupHarness harness;
  SystemClock clock;
  auto store =
      store::RocksDbStore::open(harness.store_options(), clock, harness.ids(), harness.metrics());
  ContinuousBackup backup(store->backup_source(), store::TargetFiles(), clock, harness.ids(),
                          harness.metrics(), harness.shipper_options(),
                          std::chrono::milliseconds(5));
  backup.run_now(nullptr);
  bool shipped = false;
  bool begun = false;
  backup.run_now([&](std::uint64_t, std::uint64_t) {
    if (std::exchange(begun, true)) return;
    const auto before = harness.segment_files().size();
    store::NewConversation fresh{"during the base", "", {}, std::nullopt};
    run_task(store->create_conversation(UserId("alice"), fresh, std::nullopt));
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!shipped && std::chrono::steady_clock::now() < give_up) {
      shipped = harness.segment_files().size() > before;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  EXPECT_TRUE(begun);
  EXPECT_TRUE(shipped);
  EXPECT_TRUE(backup.stop(std::chrono::seconds(60)));
}

// A stop answers who waits, and still ships the last commits.
TEST(ContinuousBackupTest, AStopDuringABaseShipsTheRest) {
  BackupHarness harness;
  SystemClock clock;
  auto store =
      store::RocksDbStore::open(harness.store_options(), clock, harness.ids(), harness.metrics());
  ContinuousBackup backup(store->backup_source(), store::TargetFiles(), clock, harness.ids(),
                          harness.metrics(), harness.shipper_options(), std::chrono::hours(1));
  backup.run_now(nullptr);
  std::promise<void> begun;
  std::promise<void> may_go_on;
  bool first = true;
  auto waiting = std::async(std::launch::async, [&] {
    backup.run_now([&](std::uint64_t, std::uint64_t) {
      if (!std::exchange(first, false)) return;
      begun.set_value();
      may_go_on.get_future().wait();
    });
  });
  begun.get_future().wait();
  store::NewConversation fresh{"the last", "", {}, std::nullopt};
  run_task(store->create_conversation(UserId("alice"), fresh, std::nullopt));
  std::thread stopping([&] { EXPECT_TRUE(backup.stop(std::chrono::seconds(60))); });
  may_go_on.set_value();
  stopping.join();
  try {
    waiting.get();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
  }
  auto request = harness.request(std::nullopt);
  harness.restore_to(request);
  EXPECT_EQ(harness.held_in(request.data), held_by(*store));
}

// A share that hangs while it takes a copy, and then the store's own disk has an error.
TEST(ContinuousBackupTest, ATargetThatHangsKeepsTheStoreReadable) {
  BackupHarness harness;
  auto target = std::make_shared<store::FaultyFileSystem>();
  auto disk = std::make_shared<store::FaultyFileSystem>();
  harness.store_options().file_system = disk;
  harness.open();
  harness.base();
  harness.write();
  harness.begin_backup(store::TargetFiles(target));
  std::promise<void> begun;
  bool first = true;
  auto base = std::async(std::launch::async, [&] {
    harness.shipper().round_with_base([&](std::uint64_t, std::uint64_t) {
      if (!std::exchange(first, false)) return;
      target->fail(store::FaultyFileSystem::Fault::kHang);
      begun.set_value();
    });
  });
  begun.get_future().wait();
  disk->fail(store::FaultyFileSystem::Fault::kIoError);
  EXPECT_THROW(harness.create(UserId("alice"), "refused"), Error);
  disk->heal();
  harness.store().sweep_now();  // does not heal, and comes back
  EXPECT_FALSE(held_by(harness.store()).users.empty());
  target->heal();
  try {
    base.get();
  } catch (const Error&) {
  }
  harness.store().sweep_now();
  harness.create(UserId("alice"), "taken again");
}

// The age says how old a restore would be, and not when a round went well.
TEST(ContinuousBackupTest, WithoutABaseNothingIsCaughtUp) {
  BackupHarness harness;
  harness.shipper_options().log_limit_bytes = 1;
  harness.open();
  harness.base();
  harness.write();
  harness.store().flush_and_compact();
  harness.write();
  harness.store().flush_and_compact();
  EXPECT_TRUE(harness.shipper().restorable());
  harness.shipper().guard_log();
  harness.source().stop();
  harness.round();
  harness.write();
  EXPECT_FALSE(harness.shipper().restorable());
}

}  // namespace
}  // namespace colloquy::backup
