#include "migrate/ordered_ids.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "base/error.h"

namespace colloquy::migrate {
namespace {

using store::Role;
using Row = MessageOrder::Row;

TEST(OrderedIds, AreOfTheTimeOfTheRowAndAlwaysTheSame) {
  auto id = ordered_conversation_id("alice", "b2c0", 1'600'000'000'123);
  EXPECT_EQ(id.uuid().unix_ms(), 1'600'000'000'123);
  EXPECT_EQ(id, ordered_conversation_id("alice", "b2c0", 1'600'000'000'123));
  EXPECT_TRUE(ConversationId::parse(id.to_string()).has_value());
  EXPECT_NE(id, ordered_conversation_id("bob", "b2c0", 1'600'000'000'123));
  EXPECT_NE(id, ordered_conversation_id("aliceb", "2c0", 1'600'000'000'123));
}

TEST(OrderedIds, OfMessagesAscendByTimeThenRoleThenOldId) {
  // More of one time than one field of an id has room for.
  std::vector<Row> rows;
  for (int i = 0; i < 5'000; ++i) {
    rows.push_back({1'000, i % 2 == 0 ? Role::kUser : Role::kAssistant, std::to_string(i)});
    rows.push_back({2'000 + i, Role::kAssistant, "m" + std::to_string(i)});
  }
  auto sorted = rows;
  std::sort(sorted.begin(), sorted.end());
  std::shuffle(rows.begin(), rows.end(), std::mt19937(1));
  MessageOrder order("old", rows);
  MessageOrder same("old", sorted);
  MessageId last;
  for (const auto& row : sorted) {
    auto id = order.id_of(row);
    EXPECT_LT(last, id);
    EXPECT_EQ(id, same.id_of(row));
    EXPECT_EQ(id.uuid().unix_ms(), row.time_ms);
    last = id;
  }
}

TEST(OrderedIds, OfTheSameOldIdInAnotherConversationAreOthers) {
  Row row{1'000, Role::kUser, "1"};
  EXPECT_NE(MessageOrder("a", {row}).id_of(row), MessageOrder("b", {row}).id_of(row));
}

TEST(OrderedIds, ARowThatWasNotThereIsRefused) {
  MessageOrder order("old", {{1'000, Role::kUser, "1"}});
  EXPECT_THROW(order.id_of({1'000, Role::kUser, "2"}), Error);
}

TEST(ParseUnixMs, TakesSecondsFractionsAndMilliseconds) {
  EXPECT_EQ(parse_unix_ms("1600000000"), 1'600'000'000'000);
  EXPECT_EQ(parse_unix_ms("1600000000.123"), 1'600'000'000'123);
  EXPECT_EQ(parse_unix_ms("1600000000123"), 1'600'000'000'123);
  EXPECT_EQ(parse_unix_ms("1.6E+9"), 1'600'000'000'000);
  EXPECT_EQ(parse_unix_ms("0"), 0);
  for (const char* bad : {"", "-1", "x", "1x", "1e30", "nan", "inf", " 1", "1e400"}) {
    EXPECT_THROW(parse_unix_ms(bad), Error) << bad;
  }
}

}  // namespace
}  // namespace colloquy::migrate
