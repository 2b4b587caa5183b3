#include "backup/old_lineages.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <thread>

#include "backup/folder_hold.h"
#include "backup/target.h"
#include "store/testing/temporary_folder.h"

namespace colloquy::backup {
namespace {

constexpr std::int64_t kNowMs = 1'700'000'000'000;
constexpr std::int64_t kDayMs = 86'400'000;
constexpr auto kWindow = std::chrono::hours(24 * 35);
constexpr auto kWatched = std::chrono::milliseconds(20);

class OldLineagesTest : public testing::Test {
 protected:
  LineageFolder make(std::int64_t last_use_ms) {
    LineageFolder folder(files_, target_, ids_.next(kNowMs));
    folder.make();
    folder.take_over(last_use_ms, ids_);
    folder.write(BaseRecord{1, 10, 5, 5, last_use_ms, last_use_ms, {}, ""}, ids_);
    folder.set_window(kWindow);
    return folder;
  }
  bool is_there(const LineageFolder& folder) {
    auto all = lineages(files_, target_);
    return std::find(all.begin(), all.end(), folder.lineage()) != all.end();
  }
  // For longer than any unused one is watched.
  void watch(OldLineages& old, const LineageFolder& own) {
    const auto end = std::chrono::steady_clock::now() + 20 * kWatched;
    while (std::chrono::steady_clock::now() < end) {
      old.step(own.lineage(), kNowMs, kWindow);
      std::this_thread::yield();
    }
  }

  store::TemporaryFolder folder_;
  RandomIdSource ids_;
  store::TargetFiles files_;
  const std::string target_ = folder_.path();
};

TEST_F(OldLineagesTest, OneThatNobodyHasUsedForLongerThanTheWindowGoes) {
  auto own = make(kNowMs - 100 * kDayMs);
  auto old = make(kNowMs - 36 * kDayMs);
  auto recent = make(kNowMs - 34 * kDayMs);
  auto caught_up = make(kNowMs - 36 * kDayMs);
  caught_up.set_caught_up({kNowMs - kDayMs, 0});
  auto reaches_further = make(kNowMs - 36 * kDayMs);
  reaches_further.set_window(kWindow * 2);
  OldLineages lineages(files_, target_, kWatched);
  lineages.step(own.lineage(), kNowMs, kWindow);
  EXPECT_TRUE(is_there(old)) << "it was seen once only";
  watch(lineages, own);
  EXPECT_FALSE(is_there(old));
  EXPECT_FALSE(std::filesystem::exists(old.path()));
  for (const auto* kept : {&own, &recent, &caught_up, &reaches_further}) {
    EXPECT_TRUE(is_there(*kept));
    EXPECT_EQ(kept->bases().records.size(), 1U);
  }
}

TEST_F(OldLineagesTest, OneThatIsUsedStaysWhateverTheTimesSay) {
  auto own = make(kNowMs);
  auto held = make(kNowMs - 1000 * kDayMs);
  auto used = make(kNowMs - 1000 * kDayMs);
  const FolderHold hold(held.path(), "");
  OldLineages lineages(files_, target_, kWatched);
  const auto end = std::chrono::steady_clock::now() + 20 * kWatched;
  // By a clock that is years behind ours.
  for (std::int64_t i = 0; std::chrono::steady_clock::now() < end; ++i) {
    used.set_caught_up({kNowMs - 1000 * kDayMs + i, 0});
    lineages.step(own.lineage(), kNowMs, kWindow);
  }
  EXPECT_TRUE(is_there(held));
  EXPECT_TRUE(is_there(used));
}

}  // namespace
}  // namespace colloquy::backup
