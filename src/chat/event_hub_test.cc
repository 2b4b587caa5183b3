#include "chat/event_hub.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <thread>

#include "base/error.h"
#include "base/testing/run_task.h"

namespace colloquy::chat {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;

const UserId kAlice("alice");
const UserId kBob("bob");

Event event(std::uint64_t number) {
  Event event;
  event.kind = EventKind::kConversationDeleted;
  event.conversation_id = ConversationId(Uuid::make_v7(1, 1, number));
  return event;
}

std::vector<std::uint64_t> numbers(const EventHub::Follower::Step& step) {
  std::vector<std::uint64_t> all;
  for (const auto& item : step.items) {
    for (std::uint64_t number = 0; number < 1000; ++number) {
      if (event(number).conversation_id == item.event.conversation_id) all.push_back(number);
    }
  }
  return all;
}

class EventHubTest : public ::testing::Test {
 protected:
  static EventHub::Follower::Step next(EventHub::Follower& follower, int wait_ms = 0) {
    return run_task(follower.next(milliseconds(wait_ms)));
  }
  telemetry::Metrics metrics;
  EventHub hub{"server", metrics, {.ring_events = 4, .followers_most = 2}};
};

TEST_F(EventHubTest, AFollowerHearsWhatIsPublishedFromThenOn) {
  hub.publish(kAlice, event(1));
  auto follower = hub.follow(kAlice, "");
  hub.publish(kAlice, event(2));
  hub.publish(kAlice, event(3));
  EXPECT_THAT(numbers(next(*follower)), ElementsAre(2, 3));
  auto quiet = next(*follower);
  EXPECT_TRUE(quiet.items.empty());
  EXPECT_FALSE(quiet.reset);
  EXPECT_FALSE(quiet.ended);
}

TEST_F(EventHubTest, NobodyHearsAnotherUsersEvents) {
  auto alice = hub.follow(kAlice, "");
  auto bob = hub.follow(kBob, "");
  hub.publish(kAlice, event(1));
  EXPECT_TRUE(next(*bob).items.empty());
  auto step = next(*alice);
  EXPECT_THAT(numbers(step), ElementsAre(1));
  // Another user's id is none of mine.
  auto thief = hub.follow(kBob, step.items.front().id);
  EXPECT_TRUE(next(*thief).reset);
}

TEST_F(EventHubTest, WhoComesBackGoesOnAfterTheLastThatWasSeen) {
  auto follower = hub.follow(kAlice, "");
  auto begun = follower->position();
  hub.publish(kAlice, event(1));
  hub.publish(kAlice, event(2));
  auto first = next(*follower).items.front().id;
  follower.reset();
  hub.publish(kAlice, event(3));
  auto back = hub.follow(kAlice, first);
  EXPECT_THAT(numbers(next(*back)), ElementsAre(2, 3));
  back = hub.follow(kAlice, begun);
  EXPECT_THAT(numbers(next(*back)), ElementsAre(1, 2, 3));
}

TEST_F(EventHubTest, AnIdThatIsNotKnownAnyMoreIsAReset) {
  auto begun = hub.follow(kAlice, "")->position();
  for (std::uint64_t i = 1; i <= 5; ++i) hub.publish(kAlice, event(i));
  for (const std::string& id :
       {begun, std::string("server-1-6"), std::string("server-1-x"), std::string("server-1-"),
        std::string("server-11-5"), std::string("other-1-5"), std::string("5")}) {
    auto follower = hub.follow(kAlice, id);
    auto step = next(*follower);
    EXPECT_EQ(step.reset, "server-1-5") << id;
    EXPECT_FALSE(step.ended) << id;
    EXPECT_TRUE(step.items.empty()) << id;
  }
  auto follower = hub.follow(kAlice, "server-1-1");
  EXPECT_THAT(numbers(next(*follower)), ElementsAre(2, 3, 4, 5));
}

TEST_F(EventHubTest, AFollowerThatIsTooSlowIsResetAndDropped) {
  auto follower = hub.follow(kAlice, "");
  for (std::uint64_t i = 1; i <= 5; ++i) hub.publish(kAlice, event(i));
  auto step = next(*follower);
  EXPECT_EQ(step.reset, "server-1-5");
  EXPECT_TRUE(step.ended);
}

TEST_F(EventHubTest, FollowersOfAUserAreBounded) {
  auto one = hub.follow(kAlice, "");
  auto two = hub.follow(kAlice, "");
  EXPECT_THROW(hub.follow(kAlice, ""), Error);
  EXPECT_NO_THROW(hub.follow(kBob, ""));
  two.reset();
  EXPECT_NO_THROW(hub.follow(kAlice, ""));
}

TEST_F(EventHubTest, ClosingEndsEveryStreamAfterWhatWasPublished) {
  auto follower = hub.follow(kAlice, "");
  hub.publish(kAlice, event(1));
  hub.close();
  auto step = next(*follower, 10'000);
  EXPECT_THAT(numbers(step), ElementsAre(1));
  EXPECT_TRUE(step.ended);
  EXPECT_THROW(hub.follow(kAlice, ""), Error);
}

TEST_F(EventHubTest, FollowersOnOtherThreadsHearEveryEventOnceWhoeverPublishes) {
  constexpr std::uint64_t kEach = 100;
  constexpr std::uint64_t kPublishers = 3;
  EventHub large("server", metrics,
                 {.ring_events = kEach * kPublishers, .followers_most = kPublishers});
  std::vector<std::thread> threads;
  std::array<std::vector<std::uint64_t>, 2> heard;
  for (auto& numbers_heard : heard) {
    threads.emplace_back([&numbers_heard, follower = std::shared_ptr(large.follow(kAlice, ""))] {
      while (numbers_heard.size() < kEach * kPublishers) {
        auto step = next(*follower, 10'000);
        if (step.items.empty()) return;
        for (auto number : numbers(step)) numbers_heard.push_back(number);
      }
    });
  }
  for (std::uint64_t publisher = 0; publisher < kPublishers; ++publisher) {
    threads.emplace_back([&large, publisher] {
      for (std::uint64_t i = 0; i < kEach; ++i) {
        large.publish(kAlice, event(publisher * kEach + i));
        auto passing = large.follow(kBob, "");
        large.publish(kBob, event(i));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(heard[0], heard[1]);
  std::sort(heard[0].begin(), heard[0].end());
  ASSERT_EQ(heard[0].size(), kEach * kPublishers);
  for (std::uint64_t i = 0; i < heard[0].size(); ++i) EXPECT_EQ(heard[0][i], i);
}

TEST_F(EventHubTest, RingsThatNobodyFollowsGoAndTheirIdsAreNotTakenForNewOnes) {
  EventHub small("server", metrics, {.users_most = 1, .kept_for = std::chrono::seconds(0)});
  auto begun = small.follow(kAlice, "")->position();
  auto bob = small.follow(kBob, "");
  EXPECT_THROW(small.follow(kAlice, ""), Error);
  bob.reset();
  EXPECT_TRUE(next(*small.follow(kAlice, begun)).reset);
}

TEST_F(EventHubTest, AResetOfAllTellsEveryFollowerOnceAndGoesOn) {
  auto alice = hub.follow(kAlice, "");
  auto bob = hub.follow(kBob, "");
  auto begun = bob->position();
  hub.publish(kAlice, event(1));
  hub.reset_all();
  hub.reset_all();
  hub.publish(kAlice, event(2));
  for (auto* follower : {alice.get(), bob.get()}) {
    auto step = next(*follower);
    EXPECT_TRUE(step.reset);
    EXPECT_FALSE(step.ended);
    EXPECT_FALSE(next(*follower).reset);
  }
  hub.publish(kAlice, event(3));
  hub.publish(kBob, event(4));
  EXPECT_THAT(numbers(next(*alice)), ElementsAre(3));
  EXPECT_THAT(numbers(next(*bob)), ElementsAre(4));
  // Nor does whoever was away meanwhile go on as if nothing had been missed.
  bob = hub.follow(kBob, begun);
  EXPECT_TRUE(next(*bob).reset);
  // Who comes after it has loaded after it.
  EXPECT_FALSE(next(*hub.follow(UserId("carol"), "")).reset);
}

TEST_F(EventHubTest, AResetOfAllWakesWhoWaits) {
  auto follower = std::shared_ptr(hub.follow(kAlice, ""));
  std::thread waits([follower] { EXPECT_TRUE(next(*follower, 10'000).reset); });
  hub.reset_all();
  waits.join();
}

TEST_F(EventHubTest, WhatIsPublishedIsForwardedAndWhatIsDeliveredIsNot) {
  std::vector<UserId> forwarded;
  hub.on_publish([&](const UserId& user, const Event&) { forwarded.push_back(user); });
  auto follower = hub.follow(kAlice, "");
  hub.publish(kAlice, event(1));
  hub.publish(kBob, event(2));
  hub.deliver(kAlice, event(3));
  EXPECT_THAT(forwarded, ElementsAre(kAlice, kBob));
  EXPECT_THAT(numbers(next(*follower)), ElementsAre(1, 3));
}

}  // namespace
}  // namespace colloquy::chat
