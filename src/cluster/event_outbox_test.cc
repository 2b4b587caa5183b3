#include "cluster/event_outbox.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <memory>
#include <thread>

#include "base/error.h"
#include "base/testing/run_task.h"

namespace colloquy::cluster {
namespace {

using std::chrono::milliseconds;

const UserId kAlice("alice");
const std::string kInstance = "01932f3e-5c00-7a4b-9c1d-2e3f405162a3";
const std::string kOther = "01932f3e-5c00-7a4b-9c1d-2e3f405162a4";

chat::Event event(std::uint64_t number) {
  chat::Event event;
  event.kind = chat::EventKind::kConversationDeleted;
  event.conversation_id = ConversationId(Uuid::make_v7(1, 1, number));
  return event;
}
const std::size_t kEventBytes = forwarded_json(kAlice, event(1)).size();

class EventOutboxTest : public ::testing::Test {
 protected:
  static EventOutbox::Subscriber::Step next(EventOutbox::Subscriber& subscriber, int wait_ms = 0) {
    boost::asio::io_context loop;
    return run_task(loop, subscriber.next(milliseconds(wait_ms)));
  }
  void publish(std::uint64_t from, std::uint64_t to) {
    for (auto i = from; i <= to; ++i) outbox.publish(kAlice, event(i));
  }
  EventOutbox outbox{kInstance, {.ring_bytes = 4 * kEventBytes, .subscribers_most = 2}};
};

TEST_F(EventOutboxTest, WhoComesWithoutAPlaceIsToldAllIfItIsStillThere) {
  publish(1, 4);
  auto whole = outbox.subscribe(std::nullopt);
  EXPECT_TRUE(whole->begin().complete);
  EXPECT_EQ(whole->begin().place.number, 0U);
  auto step = next(*whole);
  EXPECT_EQ(step.events.size(), 4U);
  EXPECT_EQ(step.events.front(), forwarded_json(kAlice, event(1)));
  EXPECT_EQ(step.last, 4U);
  publish(5, 5);
  auto late = outbox.subscribe(EventPlace{kOther, 3});
  EXPECT_FALSE(late->begin().complete);
  EXPECT_EQ(late->begin().place.number, 5U);
  EXPECT_TRUE(next(*late).events.empty());
}

TEST_F(EventOutboxTest, WhoComesBackGoesOnAtItsPlaceAsLongAsItIsKnown) {
  publish(1, 6);
  auto back = outbox.subscribe(EventPlace{kInstance, 3});
  EXPECT_TRUE(back->begin().complete);
  EXPECT_EQ(next(*back).events.size(), 3U);
  back.reset();
  for (std::uint64_t number : {0U, 1U, 7U}) {
    auto unknown = outbox.subscribe(EventPlace{kInstance, number});
    EXPECT_FALSE(unknown->begin().complete) << number;
    EXPECT_EQ(unknown->begin().place.number, 6U);
  }
}

TEST_F(EventOutboxTest, WhoIsTooSlowIsToldSo) {
  auto slow = outbox.subscribe(std::nullopt);
  publish(1, 5);
  auto step = next(*slow);
  EXPECT_TRUE(step.too_slow);
  EXPECT_TRUE(step.events.empty());
}

TEST_F(EventOutboxTest, SubscribersAreBounded) {
  auto one = outbox.subscribe(std::nullopt);
  auto two = outbox.subscribe(std::nullopt);
  EXPECT_THROW(outbox.subscribe(std::nullopt), Error);
  EXPECT_EQ(outbox.subscribers(), 2U);
  two.reset();
  EXPECT_NO_THROW(outbox.subscribe(std::nullopt));
}

TEST_F(EventOutboxTest, ClosingEndsEveryStreamAfterWhatWasPublished) {
  auto one = std::shared_ptr(outbox.subscribe(std::nullopt));
  std::thread waits([one] {
    auto step = next(*one, 10'000);
    if (!step.ended) step = next(*one, 10'000);
    EXPECT_TRUE(step.ended);
    EXPECT_TRUE(step.all_told);
    EXPECT_EQ(step.last, 1U);
  });
  publish(1, 1);
  outbox.close(true);
  waits.join();
  EXPECT_THROW(outbox.subscribe(std::nullopt), Error);
}

TEST_F(EventOutboxTest, WhatIsPublishedAfterTheEndIsNotAllTold) {
  auto one = outbox.subscribe(std::nullopt);
  outbox.close(true);
  publish(1, 1);
  auto step = next(*one);
  EXPECT_TRUE(step.ended);
  EXPECT_FALSE(step.all_told);
}

TEST_F(EventOutboxTest, AMessageHasABound) {
  EventOutbox large(kInstance);
  for (std::uint64_t i = 0; i < 2000; ++i) large.publish(kAlice, event(i));
  auto one = large.subscribe(std::nullopt);
  auto step = next(*one);
  EXPECT_LT(step.events.size() * kEventBytes, 70'000U);
  std::size_t heard = 0;
  for (; !step.events.empty(); step = next(*one)) heard += step.events.size();
  EXPECT_EQ(heard, 2000U);
}

}  // namespace
}  // namespace colloquy::cluster
