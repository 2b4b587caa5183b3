// A shipper that does all that it can do, and a look at what it has left, for tests of faults.
#pragma once

#include <gmock/gmock.h>

#include <functional>

#include "backup/backup_harness.h"

namespace colloquy::backup {

enum class Look : std::uint8_t { kLastMoment, kEveryMoment };

inline void expect_whole(BackupHarness& harness, Look look) {
  auto verified = harness.verified();
  ASSERT_EQ(verified.size(), 1U);
  EXPECT_THAT(verified.front().problems, testing::IsEmpty());
  ASSERT_EQ(verified.front().windows.size(), 1U);
  auto request = harness.request(std::nullopt);
  auto restored = harness.restore_to(request);
  EXPECT_TRUE(restored.complete);
  EXPECT_THAT(restored.problems, testing::IsEmpty());
  EXPECT_EQ(harness.held_in(request.data), held_by(harness.store()));
  if (look == Look::kLastMoment) return;
  for (const auto& [at_ms, held] : harness.held_at()) {
    if (at_ms < verified.front().windows.front().from_ms) continue;
    auto then = harness.request(at_ms);
    EXPECT_TRUE(harness.restore_to(then).complete);
    EXPECT_EQ(harness.held_in(then.data), held);
  }
}

// A restore takes its time; some of them do.
inline Look look_at(std::uint64_t n) { return n % 8 == 0 ? Look::kEveryMoment : Look::kLastMoment; }

// Everything that a shipper does: bases, segments, merging, and the removal of what is too old.
inline void do_everything(BackupHarness& harness, const std::function<void()>& round,
                          const std::function<void()>& base) {
  base();
  for (int i = 0; i < 3; ++i) {
    harness.write(1);
    round();
  }
  base();
  harness.write(1);
  round();
}

inline void small_numbers(BackupHarness& harness) {
  harness.shipper_options().merged_segments = 2;
  harness.shipper_options().keep = std::chrono::seconds(1);
}

}  // namespace colloquy::backup
