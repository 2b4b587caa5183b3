#include "store/rocksdb/rocksdb_store.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "store/rocksdb/rocksdb_harness.h"

namespace colloquy::store {
namespace {

INSTANTIATE_TEST_SUITE_P(
    RocksDb, StoreConformance,
    testing::Values(StoreFactory{"Ample", [] { return std::make_unique<RocksDbHarness>(); }},
                    StoreFactory{"Scarce",
                                 [] { return std::make_unique<RocksDbHarness>(Memory::kScarce); }}),
    store_factory_name);

class RocksDbStoreTest : public testing::Test {
 protected:
  Conversation create(RocksDbStore& store, const UserId& user) {
    return run_task(store.create_conversation(user, {}, std::nullopt)).conversation;
  }
  Message append(RocksDbStore& store, const Conversation& conversation, std::string content) {
    NewMessage message;
    message.content = std::move(content);
    return run_task(store.append_message(conversation.user_id, conversation.id, message, {}))
        .message;
  }

  RocksDbHarness harness_;
  const UserId alice_{"alice"};
};

TEST_F(RocksDbStoreTest, ARunningAnswerIsInterruptedByReopening) {
  auto store = harness_.open_rocksdb();
  NewTurn turn;
  turn.new_conversation = NewConversation{};
  turn.lease_until_s = harness_.clock().now_s() + 600;
  auto started = run_task(store->start_turn(alice_, turn, std::nullopt));
  auto id = started.conversation.id;
  EXPECT_EQ(run_task(store->get_message(alice_, id, started.reply.id))->status,
            MessageStatus::kRunning);
  store.reset();
  store = harness_.open_rocksdb();
  EXPECT_EQ(run_task(store->get_message(alice_, id, started.reply.id))->status,
            MessageStatus::kInterrupted);
}

// An iterator of RocksDB that may not block takes what it cannot read for the end.
TEST_F(RocksDbStoreTest, ColdTablesOfOneLevelAreReadToTheirEnd) {
  harness_.options().write_buffer_bytes = 64 * limits::kKiB;
  auto store = harness_.open_rocksdb();
  auto conversation = create(*store, alice_);
  constexpr std::size_t kMessages = 600;
  for (std::size_t i = 0; i < kMessages; ++i) {
    append(*store, conversation, std::to_string(i) + std::string(1000, 'x'));
    if (i % 150 == 149) store->flush_and_compact();
  }
  store.reset();
  store = harness_.open_rocksdb();
  std::size_t read = 0;
  MessageRange range;
  range.after = MessageId();
  for (bool more = true; more;) {
    auto page = run_task(store->list_messages(alice_, conversation.id, range));
    for (const auto& message : page.messages) {
      EXPECT_TRUE(message.content.starts_with(std::to_string(read) + "x"));
      ++read;
    }
    more = page.more;
    if (more) range.after = page.messages.back().id;
  }
  EXPECT_EQ(read, kMessages);
}

TEST_F(RocksDbStoreTest, AFullQueueOfWritesIsUnavailable) {
  harness_.options().write_queue_limit = 0;
  auto store = harness_.open_rocksdb();
  try {
    create(*store, alice_);
    FAIL() << "the write was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
    EXPECT_GT(error.retry_after_s(), 0);
  }
}

TEST_F(RocksDbStoreTest, MetricsCountCommitsAndWhatIsStored) {
  auto store = harness_.open_rocksdb();
  append(*store, create(*store, alice_), "hello");
  auto text = harness_.metrics().render();
  EXPECT_NE(text.find("colloquy_store_commits_total 2"), std::string::npos) << text;
  EXPECT_NE(text.find("colloquy_store_messages 1"), std::string::npos);
  EXPECT_NE(text.find("colloquy_store_conversations 1"), std::string::npos);
  EXPECT_NE(text.find("colloquy_store_operation_seconds_count{operation=\"append_message\"} 1"),
            std::string::npos);
}

TEST_F(RocksDbStoreTest, AFolderOpensOnce) {
  auto store = harness_.open_rocksdb();
  try {
    harness_.open_rocksdb();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalid);
    EXPECT_NE(error.message().find("Another process"), std::string::npos);
  }
}

TEST_F(RocksDbStoreTest, TheSweeperWorksByItself) {
  harness_.options().sweep_interval = std::chrono::milliseconds(1);
  auto store = harness_.open_rocksdb();
  NewConversation fresh;
  fresh.ttl_seconds = 1;
  run_task(store->create_conversation(alice_, fresh, std::nullopt));
  harness_.clock().advance_ms(1000);
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (store->stats().conversations != 0 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  EXPECT_EQ(store->stats().conversations, 0U);
}

}  // namespace
}  // namespace colloquy::store
