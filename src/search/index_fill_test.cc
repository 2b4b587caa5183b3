#include "search/index_fill.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/limits.h"
#include "base/testing/run_task.h"
#include "search/index_reader.h"
#include "search/query.h"
#include "store/rocksdb/rocksdb_harness.h"
#include "store/testing/temporary_folder.h"

namespace colloquy::search {
namespace {

class IndexFillTest : public testing::Test {
 protected:
  IndexFillTest() {
    harness_.options().keep_changes = true;
    store_ = harness_.open_rocksdb();
    feed_ = store_->change_feed();
    fill_ = std::make_unique<IndexFill>(*feed_, stopping_, harness_.metrics());
  }
  ConversationId create(const std::string& title) {
    harness_.clock().advance_ms(1000);
    store::NewConversation fresh{title, "", {}, std::nullopt};
    return run_task(store_->create_conversation(user_, fresh, std::nullopt)).conversation.id;
  }
  void append(ConversationId id, const std::string& content) {
    store::NewMessage message{store::Role::kUser, content, {}, ""};
    run_task(store_->append_message(user_, id, message, std::nullopt));
  }
  std::unique_ptr<IndexWriter> begin() {
    IndexState fresh;
    fresh.sequence = feed_->sequence();
    fresh.fed = feed_->newest();
    return std::make_unique<IndexWriter>(path_, fresh);
  }
  void feed(IndexWriter& index) {
    for (const auto& set : feed_->changes(index.state().fed, 1000)) fill_->apply(index, set);
    index.commit();
  }
  std::size_t found(const std::string& text) {
    IndexReader reader(path_);
    IndexPosition position;
    position.newest = INT64_MAX;
    auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    return reader.find(user_, parse_query(text), std::nullopt, position, 50, deadline).found.size();
  }

  const UserId user_{"ann"};
  store::RocksDbHarness harness_;
  store::TemporaryFolder folder_;
  const std::string path_ = folder_ / "index-1.db";
  std::atomic<bool> stopping_{false};
  std::unique_ptr<store::RocksDbStore> store_;
  std::unique_ptr<store::ChangeFeed> feed_;
  std::unique_ptr<IndexFill> fill_;
};

TEST_F(IndexFillTest, WhatChangesBeforeItsTurnIsReadAsItIsThen) {
  auto large = create("large");
  auto renamed = create("an old title");
  auto deleted = create("deleted");
  auto brief = create("brief");
  for (int i = 0; i < 3; ++i) append(large, std::string(limits::kMiB, 'x'));
  append(deleted, "a dunnock");
  append(brief, "a dunnock that expires");
  auto index = begin();
  fill_->read_piece(*index);
  ASSERT_FALSE(index->state().whole) << "the first piece ends within the large one";
  store::ConversationPatch patch;
  patch.title = "a new title";
  run_task(store_->update_conversation(user_, renamed, patch, std::nullopt));
  run_task(store_->delete_conversation(user_, deleted, std::nullopt));
  patch.title = "brief";
  patch.ttl_seconds = 1;
  run_task(store_->update_conversation(user_, brief, patch, std::nullopt));
  harness_.clock().advance_ms(10'000);
  store_->sweep_now();
  feed(*index);
  while (!index->state().whole) fill_->read_piece(*index);
  EXPECT_EQ(found("old"), 0U);
  EXPECT_EQ(found("new title"), 1U);
  EXPECT_EQ(found("dunnock"), 0U);
  EXPECT_EQ(found("deleted"), 0U);
}

TEST_F(IndexFillTest, WhatIsDeletedWhileItIsReadLeavesNothing) {
  auto large = create("large");
  for (int i = 0; i < 4; ++i) append(large, "a siskin " + std::string(limits::kMiB, 'x'));
  auto index = begin();
  fill_->read_piece(*index);
  EXPECT_GT(found("siskin"), 0U);
  run_task(store_->delete_conversation(user_, large, std::nullopt));
  // The reading comes upon it before the change is fed, and after.
  fill_->read_piece(*index);
  EXPECT_EQ(found("siskin"), 0U);
  feed(*index);
  while (!index->state().whole) fill_->read_piece(*index);
  EXPECT_EQ(index->state().documents, 0);
}

TEST_F(IndexFillTest, AStopEndsItBetweenRecordsAndNothingIsTakenForFed) {
  auto index = begin();
  auto before = index->state().fed;
  append(create("there"), "a serin");
  stopping_ = true;
  EXPECT_THROW(feed(*index), Stopped);
  EXPECT_EQ(index->state().fed, before);
  EXPECT_THROW(fill_->read_piece(*index), Stopped);
  index->roll_back();
  stopping_ = false;
  feed(*index);
  EXPECT_EQ(found("serin"), 1U);
}

TEST(IndexWriterTest, TakesAsLongForMessagesWhoseIdsAnImportChose) {
  store::TemporaryFolder folder;
  IndexWriter index((folder.path() / "index").string(), IndexState{});
  // The same message in many conversations, and the last time that there is.
  Uuid last;
  last.bytes.fill(0xff);
  constexpr std::uint64_t kConversations = 20'000;
  for (auto message : {MessageId(Uuid::make_v7(1'700'000'000'000, 7, 7)), MessageId(last)}) {
    for (std::uint64_t i = 0; i < kConversations; ++i) {
      ConversationId conversation(Uuid::make_v7(1'700'000'000'000, 1, i));
      index.put({UserId("ann"), conversation, message}, "a");
    }
  }
  index.commit();
  EXPECT_EQ(index.state().documents, 2 * kConversations);
}

}  // namespace
}  // namespace colloquy::search
