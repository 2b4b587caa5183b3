#include "base/ids.h"

#include <gtest/gtest.h>

#include <set>

namespace colloquy {
namespace {

TEST(Uuid, TextFormRoundTrips) {
  auto uuid = Uuid::make_v7(0x017f22e279b0, 0xcc3, 0x18c4dc0c0c07398fULL);
  // The example of RFC 9562, appendix A.6.
  EXPECT_EQ(uuid.to_string(), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
  EXPECT_EQ(Uuid::parse_v7(uuid.to_string()), uuid);
  EXPECT_EQ(uuid.unix_ms(), 0x017f22e279b0);
}

TEST(Uuid, RefusesWhatIsNotAVersion7UuidInLowerCase) {
  for (const char* bad :
       {"", "017f22e2-79b0-7cc3-98c4-dc0c0c07398", "017F22E2-79b0-7cc3-98c4-dc0c0c07398f",
        "017f22e2-79b0-4cc3-98c4-dc0c0c07398f", "017f22e2-79b0-7cc3-18c4-dc0c0c07398f",
        "017f22e2079b0-7cc3-98c4-dc0c0c07398f", "{17f22e2-79b0-7cc3-98c4-dc0c0c07398f",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398f0"}) {
    EXPECT_FALSE(Uuid::parse_v7(bad)) << bad;
  }
}

TEST(Uuid, SuccessorIsTheNextLargerVersion7Uuid) {
  auto uuid = Uuid::make_v7(1000, 0, 5);
  EXPECT_GT(uuid.successor(), uuid);
  auto last_of_millisecond = Uuid::make_v7(1000, 0xfff, ~0ULL);
  auto next = last_of_millisecond.successor();
  EXPECT_GT(next, last_of_millisecond);
  EXPECT_EQ(next.unix_ms(), 1001);
  EXPECT_TRUE(Uuid::parse_v7(next.to_string()));
}

TEST(Uuid, PredecessorUndoesSuccessor) {
  for (auto uuid : {Uuid::make_v7(1000, 0, 5), Uuid::make_v7(1000, 7, 0), Uuid::make_v7(1000, 0, 0),
                    Uuid::make_v7(1000, 0xfff, ~0ULL)}) {
    EXPECT_EQ(uuid.successor().predecessor(), uuid);
    EXPECT_EQ(uuid.predecessor().successor(), uuid);
    EXPECT_LT(uuid.predecessor(), uuid);
  }
}

TEST(Uuid, AdvancedIsLargerByAsMuch) {
  auto uuid = Uuid::make_v7(1000, 3, 1ULL << 61);
  auto far = uuid.advanced(1ULL << 61);
  EXPECT_GT(far, uuid.advanced((1ULL << 61) - 1));
  EXPECT_EQ(far, uuid.advanced((1ULL << 61) - 1).successor());
  EXPECT_EQ(far.unix_ms(), 1000);
}

TEST(RandomIdSource, GivesDistinctValidIdsOfTheTimeAsked) {
  RandomIdSource source;
  std::set<Uuid> seen;
  for (int i = 0; i < 10'000; ++i) {
    auto uuid = source.next(1'700'000'000'000);
    EXPECT_EQ(uuid.unix_ms(), 1'700'000'000'000);
    EXPECT_TRUE(Uuid::parse_v7(uuid.to_string()));
    seen.insert(uuid);
  }
  EXPECT_EQ(seen.size(), 10'000U);
}

TEST(SeededIdSource, RepeatsItselfForTheSameSeed) {
  SeededIdSource one(7);
  SeededIdSource same(7);
  SeededIdSource other(8);
  auto first = one.next(5);
  EXPECT_EQ(first, same.next(5));
  EXPECT_NE(first, other.next(5));
}

}  // namespace
}  // namespace colloquy
