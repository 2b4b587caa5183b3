#include "store/dynamodb/recount.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace colloquy::store::dynamodb {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::int64_t kNow = 10'000;
constexpr std::int64_t kLongAgo = 1'000;

class RecountTest : public testing::Test {
 protected:
  static MessageId id(std::uint64_t number) { return MessageId(Uuid::make_v7(5000, 0, number)); }
  static std::string change(std::uint64_t number) { return id(number).to_string(); }
  static MessageItem message(std::uint64_t number, std::int64_t timestamp_s = kLongAgo) {
    MessageItem item;
    item.message.id = id(number);
    item.message.timestamp_s = timestamp_s;
    return item;
  }
  // Its answer has the next number.
  static MessageItem prompt(std::uint64_t number, std::int64_t timestamp_s = kLongAgo) {
    auto item = message(number, timestamp_s);
    item.reply = PendingReply{id(number + 1), "server", kNow + 10, "model"};
    return item;
  }
  static MessageItem running(std::uint64_t number) {
    auto item = message(number);
    item.message.status = MessageStatus::kRunning;
    item.running = PendingReply{id(number), "server", kNow + 10, "model"};
    return item;
  }
  // One page each.
  static Recount of(const std::vector<std::vector<MessageItem>>& pages) {
    Recount seen(kNow);
    for (const auto& page : pages) seen.add(page);
    seen.end();
    return seen;
  }
};

TEST_F(RecountTest, CountsMessagesAndTurns) {
  auto seen = of({{message(1), prompt(2), message(3), message(4)}});
  EXPECT_EQ(seen.count(), 4);
  EXPECT_THAT(seen.changes(), IsEmpty());
  EXPECT_EQ(of({}).count(), 0);
}

TEST_F(RecountTest, ATurnThatRunsIsCountedWithItsEnd) {
  EXPECT_EQ(of({{message(1), prompt(2, kNow), running(3)}}).count(), 1);
  EXPECT_EQ(of({{message(1), prompt(2), running(3), message(4)}}).count(), 2);
}

TEST_F(RecountTest, ARunningAnswerWithoutItsPromptIsCountedOffInAdvance) {
  EXPECT_EQ(of({{message(1), running(3)}}).count(), 0);
}

TEST_F(RecountTest, AnotherAnswerThatRunsIsCountedWithItsEnd) {
  auto another = running(5);
  another.answers = id(1);
  EXPECT_EQ(of({{message(1), message(2), another}}).count(), 2);
  EXPECT_EQ(of({{message(1), message(2), another, message(6)}}).count(), 3);
  auto ended = of({{message(1), message(2), message(5, kNow)}});
  EXPECT_EQ(ended.count(), 3);
  EXPECT_THAT(ended.changes(), ElementsAre(change(5)));
}

TEST_F(RecountTest, WhatIsNewIsRememberedUnderItsPromptsName) {
  auto seen = of({{message(1), prompt(2, kNow), message(3, kNow), message(4, kNow - 60)}});
  EXPECT_EQ(seen.count(), 4);
  EXPECT_THAT(seen.changes(), ElementsAre(change(2), change(4)));
}

TEST_F(RecountTest, PagesAreSeenAsOne) {
  auto turn = of({{message(1), prompt(2, kNow)}, {running(3), message(4)}});
  EXPECT_EQ(turn.count(), 2);
  auto ended = of({{message(1), prompt(2, kNow)}, {}, {message(3, kNow)}});
  EXPECT_EQ(ended.count(), 3);
  EXPECT_THAT(ended.changes(), ElementsAre(change(2)));
}

}  // namespace
}  // namespace colloquy::store::dynamodb
