// Order, paging, concurrency and expiry of messages.
#include <gmock/gmock.h>

#include <set>
#include <thread>

#include "store/testing/conformance.h"

namespace colloquy::store {
namespace {

using testing::ElementsAre;

std::vector<std::string> texts(const std::vector<Message>& messages) {
  std::vector<std::string> out;
  for (const auto& message : messages) out.push_back(message.content);
  return out;
}

TEST_P(StoreConformance, EveryMessageHasAGreaterIdThanThoseBeforeIt) {
  auto conversation = create(alice_);
  MessageId last;
  for (int i = 0; i < 200; ++i) {
    if (i == 100) clock().advance_ms(-60'000);  // a clock that is set back
    if (i == 150) reopen();
    auto message = append(conversation, std::to_string(i));
    EXPECT_GT(message.id, last);
    EXPECT_TRUE(MessageId::parse(message.id.to_string()));
    last = message.id;
  }
  auto all = contents(conversation);
  ASSERT_EQ(all.size(), 200U);
  for (int i = 0; i < 200; ++i) EXPECT_EQ(all[static_cast<std::size_t>(i)], std::to_string(i));
}

TEST_P(StoreConformance, PagesOfMessagesMeetWithoutGapOrOverlap) {
  auto conversation = create(alice_);
  auto neighbour = create(alice_);
  std::vector<Message> made;
  for (int i = 0; i < 10; ++i) {
    made.push_back(append(conversation, std::to_string(i)));
    append(neighbour, "another conversation");
  }
  MessageRange range;
  range.limit = 4;
  auto newest = list(conversation, range);
  EXPECT_THAT(texts(newest.messages), ElementsAre("6", "7", "8", "9"));
  EXPECT_TRUE(newest.more);
  range.before = newest.messages.front().id;
  auto middle = list(conversation, range);
  EXPECT_THAT(texts(middle.messages), ElementsAre("2", "3", "4", "5"));
  EXPECT_TRUE(middle.more);
  range.before = middle.messages.front().id;
  auto oldest = list(conversation, range);
  EXPECT_THAT(texts(oldest.messages), ElementsAre("0", "1"));
  EXPECT_FALSE(oldest.more);
  range.before = made[4].id;
  EXPECT_FALSE(list(conversation, range).more);  // exactly full
  range.before = made[0].id;
  EXPECT_TRUE(list(conversation, range).messages.empty());

  range.before.reset();
  range.after = made[3].id;
  auto after = list(conversation, range);
  EXPECT_THAT(texts(after.messages), ElementsAre("4", "5", "6", "7"));
  EXPECT_TRUE(after.more);
  range.after = made[7].id;
  after = list(conversation, range);
  EXPECT_THAT(texts(after.messages), ElementsAre("8", "9"));
  EXPECT_FALSE(after.more);
  range.after = made[9].id;
  EXPECT_TRUE(list(conversation, range).messages.empty());
  range.after = no_message_;  // need not be there; this one is older than all
  EXPECT_THAT(texts(list(conversation, range).messages), ElementsAre("0", "1", "2", "3"));
}

TEST_P(StoreConformance, APageEndsEarlyPastItsBytesButIsNeverEmptyForThat) {
  auto conversation = create(alice_);
  for (int i = 0; i < 6; ++i) append(conversation, std::string(1000, static_cast<char>('a' + i)));
  MessageRange range;
  range.max_bytes = 2500;
  std::size_t read = 0;
  std::optional<MessageId> before;
  for (bool more = true; more;) {
    range.before = before;
    auto page = list(conversation, range);
    ASSERT_FALSE(page.messages.empty());
    EXPECT_LE(page.messages.size(), 3U);
    read += page.messages.size();
    more = page.more;
    before = page.messages.front().id;
  }
  EXPECT_EQ(read, 6U);
  range.before.reset();
  range.after = no_message_;
  range.max_bytes = 10;
  auto single = list(conversation, range);
  EXPECT_EQ(single.messages.size(), 1U);
  EXPECT_TRUE(single.more);
}

TEST_P(StoreConformance, TheNewestMessagesComeWithTheirConversation) {
  auto conversation = create(alice_);
  for (int i = 0; i < 8; ++i) append(conversation, std::to_string(i));
  auto recent = run_task(store().read_recent(alice_, conversation.id, newest(5), {}));
  ASSERT_TRUE(recent);
  EXPECT_EQ(recent->conversation, get(conversation));
  EXPECT_THAT(texts(recent->messages), ElementsAre("3", "4", "5", "6", "7"));
  EXPECT_EQ(
      run_task(store().read_recent(alice_, conversation.id, newest(100), {}))->messages.size(), 8U);
  EXPECT_TRUE(
      run_task(store().read_recent(alice_, conversation.id, newest(0), {}))->messages.empty());
}

TEST_P(StoreConformance, MessagesWithoutATextTakeNoPlaceAmongTheNewest) {
  auto conversation = create(alice_);
  auto recent = [&](std::size_t limit) {
    return *run_task(store().read_recent(alice_, conversation.id, newest(limit), {}));
  };
  EXPECT_EQ(recent(3).newest, std::nullopt);
  append(conversation, "1");
  for (int i = 2; i <= 3; ++i) {
    finish(start(conversation, std::to_string(i)), "");  // an answer that failed
  }
  auto running = start(conversation, "4");
  EXPECT_THAT(texts(recent(3).messages), ElementsAre("2", "3", "4"));
  EXPECT_THAT(texts(recent(9).messages), ElementsAre("1", "2", "3", "4"));
  EXPECT_EQ(recent(3).newest, running.reply.id);
  EXPECT_EQ(recent(0).newest, running.reply.id);
  EXPECT_TRUE(recent(0).messages.empty());
  finish(running, "answer");
  EXPECT_THAT(texts(recent(3).messages), ElementsAre("3", "4", "answer"));
}

TEST_P(StoreConformance, TheSearchForATextEndsAfterABoundedNumberOfMessages) {
  constexpr std::size_t kLimit = 2;
  auto conversation = create(alice_);
  for (int i = 1; i <= 3; ++i) append(conversation, std::to_string(i));
  Message last;
  // The last that is looked at is "3".
  for (std::size_t i = 1; i < recent_rows(kLimit); ++i) last = append(conversation, "");
  auto recent = run_task(store().read_recent(alice_, conversation.id, newest(kLimit), {}));
  EXPECT_THAT(texts(recent->messages), ElementsAre("3"));
  EXPECT_EQ(recent->newest, last.id);
  append(conversation, "");
  EXPECT_TRUE(
      run_task(store().read_recent(alice_, conversation.id, newest(kLimit), {}))->messages.empty());
}

TEST_P(StoreConformance, ALargeMessageSurvives) {
  auto conversation = create(alice_);
  std::string content;
  for (unsigned i = 0; content.size() < limits::kMiB; ++i) content += std::to_string(i * i);
  auto message = append(conversation, content);
  reopen();
  EXPECT_EQ(get(conversation, message.id)->content, content);
}

Task<> append_some(Store& store, UserId user, ConversationId id, std::string name, int count,
                   std::vector<Message>& made) {
  for (int i = 0; i < count; ++i) {
    NewMessage message;
    message.content = name + std::to_string(i);
    auto appended = co_await store.append_message(user, id, message, std::nullopt);
    made.push_back(std::move(appended.message));
  }
}

TEST_P(StoreConformance, ConcurrentAppendsAreAllThereInOneOrder) {
  constexpr int kThreads = 4;
  constexpr int kEach = 50;
  auto conversation = create(alice_);
  std::vector<std::vector<Message>> made(kThreads);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      run_task(append_some(store(), alice_, conversation.id, std::to_string(i) + "-", kEach,
                           made[static_cast<std::size_t>(i)]));
    });
  }
  for (auto& thread : threads) thread.join();
  std::set<MessageId> ids;
  for (const auto& by_thread : made) {
    for (std::size_t i = 0; i < by_thread.size(); ++i) {
      ids.insert(by_thread[i].id);
      if (i > 0) {
        EXPECT_GT(by_thread[i].id, by_thread[i - 1].id);
      }
      auto there = get(conversation, by_thread[i].id);
      ASSERT_TRUE(there);
      there->parent = by_thread[i].parent;  // which another thread may have come before
      EXPECT_EQ(there, by_thread[i]);
    }
  }
  EXPECT_EQ(ids.size(), static_cast<std::size_t>(kThreads * kEach));
  EXPECT_EQ(contents(conversation).size(), ids.size());
  EXPECT_EQ(get(conversation)->message_count, ids.size());
  EXPECT_EQ(stats().messages, ids.size());
}

TEST_P(StoreConformance, OfManyWritesWithOneKeyOneHappens) {
  constexpr int kThreads = 4;
  auto conversation = create(alice_);
  std::vector<std::optional<AppendedMessage>> made(kThreads);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      NewMessage message;
      message.content = "once";
      made[static_cast<std::size_t>(i)] =
          run_task(store().append_message(alice_, conversation.id, message, key("k")));
    });
  }
  for (auto& thread : threads) thread.join();
  int first = 0;
  for (const auto& one : made) {
    first += one->replayed ? 0 : 1;
    EXPECT_EQ(one->message, made[0]->message);
  }
  EXPECT_EQ(first, 1);
  EXPECT_EQ(get(conversation)->message_count, 1U);
}

TEST_P(StoreConformance, AnExpiredConversationIsNotThereForAnyCall) {
  auto conversation = create(alice_, "short", 60);
  auto other = create(alice_, "long");
  auto message = append(conversation, "hello");
  advance_s(59);
  EXPECT_TRUE(get(conversation));
  advance_s(1);
  auto id = conversation.id;
  EXPECT_EQ(get(conversation), std::nullopt);
  EXPECT_EQ(get(conversation, message.id), std::nullopt);
  EXPECT_FALSE(run_task(store().read_recent(alice_, id, newest(5), {})));
  auto page = run_task(store().list_conversations(alice_, 10, std::nullopt));
  ASSERT_EQ(page.conversations.size(), 1U);
  EXPECT_EQ(page.conversations[0].id, other.id);
  constexpr auto kNotFound = ErrorCode::kNotFound;
  EXPECT_EQ(error_of(store().list_messages(alice_, id, {})), kNotFound);
  EXPECT_EQ(error_of(store().append_message(alice_, id, {}, {})), kNotFound);
  EXPECT_EQ(error_of(store().update_conversation(alice_, id, {}, {})), kNotFound);
  EXPECT_EQ(error_of(store().delete_conversation(alice_, id, {})), kNotFound);
  EXPECT_EQ(error_of(store().delete_message(alice_, id, message.id)), kNotFound);
  settle();
  EXPECT_EQ(stats().conversations, 1U);
  EXPECT_EQ(stats().messages, 0U);
}

TEST_P(StoreConformance, ActivityPutsTheExpiryOff) {
  auto conversation = create(alice_, "short", 60);
  for (int i = 0; i < 5; ++i) {
    advance_s(50);
    append(conversation, "still here");
    settle();
    ASSERT_TRUE(get(conversation));
  }
  reopen();
  advance_s(59);
  settle();
  EXPECT_TRUE(get(conversation));
  advance_s(1);
  settle();
  EXPECT_EQ(get(conversation), std::nullopt);
  EXPECT_EQ(stats().conversations, 0U);
}

TEST_P(StoreConformance, AnExpiryCanBeSetMovedAndRemoved) {
  auto conversation = create(alice_);
  ConversationPatch patch;
  patch.ttl_seconds = std::optional<std::int64_t>(1000);
  run_task(store().update_conversation(alice_, conversation.id, patch, {}));
  patch.ttl_seconds = std::optional<std::int64_t>(10);
  EXPECT_EQ(
      run_task(store().update_conversation(alice_, conversation.id, patch, {})).expires_at_s(),
      clock().now_s() + 10);
  patch.ttl_seconds.emplace(std::nullopt);
  EXPECT_EQ(
      run_task(store().update_conversation(alice_, conversation.id, patch, {})).expires_at_s(),
      std::nullopt);
  advance_s(2000);
  settle();
  EXPECT_TRUE(get(conversation));
  patch.ttl_seconds = std::optional<std::int64_t>(2010);
  run_task(store().update_conversation(alice_, conversation.id, patch, {}));
  EXPECT_TRUE(get(conversation));
  advance_s(10);
  EXPECT_EQ(get(conversation), std::nullopt);
  settle();
  EXPECT_EQ(stats().conversations, 0U);
}

}  // namespace
}  // namespace colloquy::store
