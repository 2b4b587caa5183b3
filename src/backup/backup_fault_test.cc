// Disks that fail at each of their calls.
#include <gmock/gmock.h>

#include <initializer_list>

#include "backup/continuous.h"
#include "backup/fault_harness.h"
#include "base/testing/next_call.h"
#include "store/testing/faulty_file_system.h"

namespace colloquy::backup {
namespace {

using store::FaultyFileSystem;

TEST(BackupFaultTest, ATargetThatFailsAtEachCallLosesNothing) {
  bool failed = true;
  for (std::uint64_t n = 0; failed; n = next_call(n)) {
    SCOPED_TRACE(n);
    failed = false;
    BackupHarness harness;
    small_numbers(harness);
    harness.open();
    auto disk = std::make_shared<FaultyFileSystem>();
    harness.begin_backup(store::TargetFiles(disk));
    disk->fail(n % 2 == 0 ? FaultyFileSystem::Fault::kIoError : FaultyFileSystem::Fault::kNoSpace,
               n);
    auto attempt = [&](const std::function<void()>& work) {
      try {
        work();
      } catch (const Error&) {
        failed = true;
        disk->heal();
      }
    };
    do_everything(
        harness, [&] { attempt([&] { harness.round(); }); },
        [&] { attempt([&] { harness.base(); }); });
    disk->heal();
    harness.base();
    expect_whole(harness, look_at(n));
    ASSERT_LT(n, 1'000U);
  }
}

TEST(BackupFaultTest, ADiskThatFailsAtEachCallOfARestoreLeavesNothingToOpen) {
  BackupHarness harness;
  harness.open();
  harness.base();
  harness.write();
  harness.round();
  const auto held = held_by(harness.store());
  bool failed = true;
  for (std::uint64_t n = 0; failed; n = next_call(n)) {
    SCOPED_TRACE(n);
    failed = false;
    auto disk = std::make_shared<FaultyFileSystem>();
    auto request = harness.request(std::nullopt);
    request.data_files = disk;
    disk->fail(FaultyFileSystem::Fault::kNoSpace, n);
    try {
      harness.restore_to(request);
    } catch (const Error&) {
      failed = true;
    }
    if (failed) {
      EXPECT_THROW(require_restored(request.data), Error);
      EXPECT_FALSE(std::filesystem::exists(request.data + "/store"));
      request.data_files = nullptr;
      EXPECT_TRUE(harness.restore_to(request).complete);
    }
    EXPECT_EQ(harness.held_in(request.data), held);
    ASSERT_LT(n, 1'000U);
  }
}

// A share whose server is gone answers nothing at all.
TEST(BackupFaultTest, ATargetThatHangsFillsNoDiskAndHoldsNoStopUp) {
  BackupHarness harness;
  SystemClock clock;
  auto disk = std::make_shared<FaultyFileSystem>();
  auto store =
      store::RocksDbStore::open(harness.store_options(), clock, harness.ids(), harness.metrics());
  auto options = harness.shipper_options();
  options.log_limit_bytes = 1;
  ContinuousBackup backup(store->backup_source(), store::TargetFiles(disk), clock, harness.ids(),
                          harness.metrics(), options, std::chrono::milliseconds(5));
  backup.run_now(nullptr);
  disk->fail(FaultyFileSystem::Fault::kHang);
  auto give_up = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  auto given_up = [&harness] {
    return harness.metrics().render().find("colloquy_backup_log_given_up_total 0") ==
           std::string::npos;
  };
  while (!given_up() && std::chrono::steady_clock::now() < give_up) {
    store::NewConversation fresh{"while it hangs", "", {}, std::nullopt};
    run_task(store->create_conversation(UserId("alice"), fresh, std::nullopt));
    store->flush_and_compact();
  }
  EXPECT_TRUE(given_up());
  EXPECT_FALSE(backup.stop(std::chrono::milliseconds(50)));
  disk->heal();
  EXPECT_TRUE(backup.stop(std::chrono::minutes(1)));
}

// The store's own disk fails and heals while it is backed up.
TEST(BackupFaultTest, ADatabaseThatHealsIsShippedOn) {
  for (const auto n : std::initializer_list<std::uint64_t>{0, 1, 2, 3, 5, 8}) {
    SCOPED_TRACE(n);
    BackupHarness harness;
    auto disk = std::make_shared<FaultyFileSystem>();
    harness.store_options().file_system = disk;
    harness.open();
    harness.base();
    harness.write();
    harness.round();
    disk->fail(FaultyFileSystem::Fault::kIoError, n);
    for (int i = 0; i < 10; ++i) {
      try {
        harness.create(UserId("alice"), "may fail");
      } catch (const Error&) {
        break;
      }
    }
    try {
      harness.round();
    } catch (const Error&) {
    }
    disk->heal();
    harness.store().sweep_now();
    harness.write();
    harness.round();
    harness.base();
    harness.write();
    harness.round();
    expect_whole(harness, Look::kEveryMoment);
  }
}

}  // namespace
}  // namespace colloquy::backup
