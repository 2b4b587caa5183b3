#include "backup/segment.h"

#include <gmock/gmock.h>

#include "backup/moment.h"
#include "backup/target.h"
#include "base/error.h"

namespace colloquy::backup {
namespace {

Segment two_commits() {
  Segment segment;
  segment.lineage = Uuid::make_v7(1'700'000'000'000, 1, 2);
  segment.previous.fill(7);
  segment.commits = {{10, 2, 1'700'000'000'000, "first"}, {12, 1, 1'700'000'000'001, "second"}};
  return segment;
}

TEST(SegmentTest, ComesBackAsItWas) {
  auto segment = two_commits();
  EXPECT_EQ(decode(encode(segment)), segment);
}

TEST(SegmentTest, EveryCutIsSeen) {
  auto whole = encode(two_commits());
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_THROW(decode(whole.substr(0, length)), Error) << length;
  }
  EXPECT_THROW(decode(whole + "x"), Error);
}

TEST(SegmentTest, EveryChangedByteIsSeen) {
  const auto whole = encode(two_commits());
  for (std::size_t at = 0; at < whole.size(); ++at) {
    auto changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x20);
    EXPECT_THROW(decode(changed), Error) << at;
  }
}

TEST(SegmentTest, CommitsThatDoNotFollowEachOtherAreRefused) {
  auto gap = two_commits();
  gap.commits[1].sequence = 13;
  EXPECT_THROW(decode(encode(gap)), Error);
  auto back = two_commits();
  back.commits[1].time_ms -= 100;
  EXPECT_THROW(decode(encode(back)), Error);
  auto empty = two_commits();
  empty.commits.clear();
  EXPECT_THROW(decode(encode(empty)), Error);
  auto rowless = two_commits();
  rowless.commits[1].rows = 0;
  EXPECT_THROW(decode(encode(rowless)), Error);
}

TEST(BaseRecordTest, ComesBackAsItWasAndEveryChangeIsSeen) {
  const BaseRecord record{
      3, 4'000, 17, 19, 1'700'000'000'123, 1'700'000'000'000, digest_of({17, 1, 0, "the last one"}),
      ""};
  const auto text = encode(record);
  EXPECT_EQ(decode_base(text), record);
  for (std::size_t at = 0; at < text.size(); ++at) {
    EXPECT_THROW(decode_base(text.substr(0, at)), Error) << at;
    auto changed = text;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    EXPECT_THROW(decode_base(changed), Error) << at;
  }
}

TEST(MomentTest, TakesWhatRfc3339Allows) {
  EXPECT_EQ(parse_moment("2026-11-22T10:15:00Z"), 1'795'342'500'000);
  EXPECT_EQ(parse_moment("2026-11-22T10:15:00.250Z"), 1'795'342'500'250);
  EXPECT_EQ(parse_moment("2026-11-22T11:15:00+01:00"), 1'795'342'500'000);
  EXPECT_EQ(parse_moment("2026-11-22t10:15:00.2509z"), 1'795'342'500'250);
  EXPECT_EQ(to_text_utc(1'795'342'500'000), "2026-11-22T10:15:00Z");
  EXPECT_EQ(to_text_utc(1'795'342'500'007), "2026-11-22T10:15:00.007Z");
}

TEST(MomentTest, RefusesEverythingElse) {
  for (const char* text :
       {"", "2026-11-22", "2026-11-22T10:15:00", "2026-02-30T10:15:00Z", "2026-11-22T24:00:00Z",
        "2026-11-22T10:60:00Z", "2026-11-22T10:15:60Z", "2026-11-22T10:15:00.Z",
        "2026-11-22T10:15:00+1:00", "2026-11-22T10:15:00Z ", "+026-11-22T10:15:00Z", "yesterday"}) {
    EXPECT_EQ(parse_moment(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace colloquy::backup
