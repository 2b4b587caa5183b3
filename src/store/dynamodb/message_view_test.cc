#include "store/dynamodb/message_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace colloquy::store::dynamodb {
namespace {

using testing::ElementsAre;
using Order = MessageView::Order;

constexpr std::int64_t kNow = 1000;

class MessageViewTest : public testing::Test {
 protected:
  MessageId id(std::uint64_t number) { return MessageId(Uuid::make_v7(5000, 0, number)); }
  MessageItem message(std::uint64_t number) {
    MessageItem item;
    item.message.id = id(number);
    return item;
  }
  // Its answer has the next number.
  MessageItem prompt(std::uint64_t number, std::int64_t lease = kNow + 10) {
    auto item = message(number);
    item.reply = PendingReply{id(number + 1), "server", lease, "model"};
    return item;
  }
  std::vector<std::string> seen(MessageView& view) {
    std::vector<std::string> out;
    for (const auto& item : view.seen()) {
      std::string text;
      for (std::uint64_t number = 0; number < 100; ++number) {
        if (item.message.id == id(number)) text = std::to_string(number);
      }
      if (item.message.status == MessageStatus::kRunning) text += " running";
      if (item.message.status == MessageStatus::kInterrupted) text += " interrupted";
      out.push_back(text);
    }
    return out;
  }
};

TEST_F(MessageViewTest, AnAnswerToComeStandsAfterItsPrompt) {
  MessageView view(Order::kOldestFirst, {}, kNow);
  view.add(message(1));
  view.add(prompt(10));
  EXPECT_THAT(seen(view), ElementsAre("1", "10"));  // the next item may be the answer
  view.add(message(20));
  EXPECT_THAT(seen(view), ElementsAre("1", "10", "11 running", "20"));
  view.add(prompt(30, kNow));
  view.end();
  EXPECT_THAT(seen(view), ElementsAre("1", "10", "11 running", "20", "30", "31 interrupted"));
}

TEST_F(MessageViewTest, AnAnswerThatCameStandsForItself) {
  MessageView oldest(Order::kOldestFirst, {}, kNow);
  oldest.add(prompt(10));
  oldest.add(message(11));
  oldest.end();
  EXPECT_THAT(seen(oldest), ElementsAre("10", "11"));
  MessageView newest(Order::kNewestFirst, {}, kNow);
  newest.add(message(11));
  newest.add(prompt(10));
  newest.end();
  EXPECT_THAT(seen(newest), ElementsAre("11", "10"));
}

TEST_F(MessageViewTest, APageAfterAPromptBeginsWithItsAnswer) {
  MessageView view(Order::kOldestFirst, {id(10), std::nullopt}, kNow);
  view.add(prompt(10));
  view.add(message(20));
  view.end();
  EXPECT_THAT(seen(view), ElementsAre("11 running", "20"));
}

TEST_F(MessageViewTest, APageAfterAnAnswerToComeDoesNotHaveItAgain) {
  MessageView view(Order::kOldestFirst, {id(11), std::nullopt}, kNow);
  view.add(message(20));
  view.end();
  EXPECT_THAT(seen(view), ElementsAre("20"));
}

TEST_F(MessageViewTest, APageBeforeAnAnswerToComeDoesNotHaveItAgain) {
  MessageView at_the_answer(Order::kNewestFirst, {std::nullopt, id(10)}, kNow);
  at_the_answer.add(prompt(10));
  at_the_answer.add(message(1));
  EXPECT_THAT(seen(at_the_answer), ElementsAre("10", "1"));
  MessageView past_it(Order::kNewestFirst, {std::nullopt, id(19)}, kNow);
  past_it.add(prompt(10));
  EXPECT_THAT(seen(past_it), ElementsAre("11 running", "10"));
}

TEST_F(MessageViewTest, AWayThatEndsWithAPromptDoesNotHaveItsAnswer) {
  for (auto order : {Order::kOldestFirst, Order::kNewestFirst}) {
    MessageView view(order, {std::nullopt, id(10)}, kNow);
    view.add(prompt(10));
    view.end();
    EXPECT_THAT(seen(view), ElementsAre("10"));
  }
}

TEST_F(MessageViewTest, AnAnswerToComeIsOfItsPromptsBranch) {
  for (auto order : {Order::kOldestFirst, Order::kNewestFirst}) {
    MessageView view(order, {}, kNow);
    auto item = prompt(10);
    item.message.branch = 3;
    view.add(item);
    view.end();
    ASSERT_EQ(view.seen().size(), 2U);
    for (const auto& each : view.seen()) EXPECT_EQ(each.message.branch, 3U);
  }
}

TEST_F(MessageViewTest, ARunningAnswerWithARowIsInterruptedPastItsLease) {
  MessageView view(Order::kOldestFirst, {}, kNow);
  for (std::uint64_t number : {1U, 2U}) {
    auto item = message(number);
    item.message.status = MessageStatus::kRunning;
    item.running = PendingReply{item.message.id, "server", number == 1 ? kNow : kNow + 1, ""};
    view.add(item);
  }
  EXPECT_THAT(seen(view), ElementsAre("1 interrupted", "2 running"));
}

}  // namespace
}  // namespace colloquy::store::dynamodb
