// What the embedded store keeps of its commits for an index that is derived from it.
#include <gtest/gtest.h>
#include <rocksdb/transaction_log.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/testing/run_task.h"
#include "store/rocksdb/change_log.h"
#include "store/rocksdb/keys.h"
#include "store/rocksdb/rocksdb_harness.h"
#include "store/rocksdb/write_group.h"

namespace colloquy::store {
namespace {

class ChangeFeedTest : public testing::Test {
 protected:
  ChangeFeedTest() { open(true); }

  void open(bool keep_changes) {
    feed_.reset();
    store_.reset();
    harness_.options().keep_changes = keep_changes;
    store_ = harness_.open_rocksdb();
    feed_ = store_->change_feed();
  }
  Conversation create(const std::string& title = "a title") {
    NewConversation fresh{title, "", {}, std::nullopt};
    return run_task(store_->create_conversation(user_, fresh, std::nullopt)).conversation;
  }
  Message append(const Conversation& conversation, const std::string& content) {
    NewMessage message{Role::kUser, content, {}, ""};
    return run_task(store_->append_message(user_, conversation.id, message, std::nullopt)).message;
  }
  // Of all commits since the last call.
  std::vector<Change> news() {
    std::vector<Change> all;
    for (const auto& set : feed_->changes(read_, 1000)) {
      EXPECT_GT(set.number, read_);
      read_ = set.number;
      all.insert(all.end(), set.changes.begin(), set.changes.end());
    }
    return all;
  }

  static int rows_of(Database& database) {
    std::unique_ptr<rocksdb::Iterator> at(
        database.db().NewIterator(rocksdb::ReadOptions(), database.derived()));
    int count = 0;
    for (at->Seek(rocksdb::Slice(keys::kChangesPrefix));
         at->Valid() && at->key().starts_with(rocksdb::Slice(keys::kChangesPrefix)); at->Next()) {
      ++count;
    }
    return count;
  }

  UserId user_{"ann"};
  RocksDbHarness harness_;
  std::unique_ptr<RocksDbStore> store_;
  std::unique_ptr<ChangeFeed> feed_;
  std::uint64_t read_ = 0;
};

TEST_F(ChangeFeedTest, EveryKindOfChangeIsKeptOnce) {
  auto conversation = create();
  auto id = conversation.id;
  EXPECT_EQ(news(), (std::vector<Change>{{user_, id, {}}}));
  auto message = append(conversation, "hello");
  EXPECT_EQ(news(), (std::vector<Change>{{user_, id, message.id}}));
  ConversationPatch pin;
  pin.pinned = true;
  run_task(store_->update_conversation(user_, id, pin, std::nullopt));
  EXPECT_TRUE(news().empty()) << "a pin is not searched for";
  ConversationPatch rename;
  rename.title = "another";
  run_task(store_->update_conversation(user_, id, rename, std::nullopt));
  EXPECT_EQ(news(), (std::vector<Change>{{user_, id, {}}}));
  run_task(store_->delete_message(user_, id, message.id));
  EXPECT_EQ(news(), (std::vector<Change>{{user_, id, message.id}}));
  run_task(store_->delete_conversation(user_, id, std::nullopt));
  EXPECT_EQ(news(), (std::vector<Change>{{user_, id, {}}}));
  EXPECT_FALSE(feed_->conversation(user_, id));
}

TEST_F(ChangeFeedTest, ATurnIsKeptWhenItBeginsAndWhenItEnds) {
  NewTurn turn;
  turn.new_conversation = NewConversation{"t", "", {}, std::nullopt};
  turn.prompt.content = "a question";
  auto started = run_task(store_->start_turn(user_, turn, std::nullopt));
  auto id = started.conversation.id;
  EXPECT_EQ(news(),
            (std::vector<Change>{
                {user_, id, {}}, {user_, id, started.prompt.id}, {user_, id, started.reply.id}}));
  EXPECT_EQ(feed_->message(id, started.reply.id)->status, MessageStatus::kRunning);
  auto reply = started.reply;
  reply.content = "so far";
  run_task(store_->save_partial(user_, id, reply));
  EXPECT_TRUE(news().empty());
  reply.status = MessageStatus::kComplete;
  run_task(store_->finish_turn(user_, id, reply));
  EXPECT_EQ(news(), (std::vector<Change>{{user_, id, started.reply.id}}));
  EXPECT_EQ(feed_->message(id, started.reply.id)->content, "so far");
}

TEST_F(ChangeFeedTest, ExpiryIsAChangeOnceItIsCarriedOutAndNothingBefore) {
  NewConversation fresh{"short", "", {}, 60};
  auto id = run_task(store_->create_conversation(user_, fresh, std::nullopt)).conversation.id;
  news();
  harness_.clock().advance_ms(61'000);
  EXPECT_TRUE(feed_->conversation(user_, id)) << "a longer retention would show it again";
  store_->sweep_now();
  EXPECT_EQ(news(), (std::vector<Change>{{user_, id, {}}}));
  EXPECT_FALSE(feed_->conversation(user_, id));
}

TEST_F(ChangeFeedTest, WhatIsForgottenIsGoneAndNumbersGoOnRisingAcrossOpenings) {
  auto sequence = feed_->sequence();
  auto conversation = create();
  for (int i = 0; i < 5; ++i) append(conversation, "x");
  news();
  EXPECT_EQ(feed_->forgotten(), 0U);
  EXPECT_FALSE(feed_->forget_some(read_));
  EXPECT_EQ(feed_->forgotten(), read_);
  EXPECT_TRUE(feed_->changes(0, 1000).empty());
  auto last = read_;
  open(true);
  EXPECT_EQ(feed_->sequence(), sequence);
  EXPECT_EQ(feed_->forgotten(), last);
  append(conversation, "y");
  auto sets = feed_->changes(0, 1000);
  ASSERT_EQ(sets.size(), 1U);
  EXPECT_GT(sets[0].number, last);
  EXPECT_LE(sets[0].number, feed_->newest());
}

TEST_F(ChangeFeedTest, WhatIsNotForgottenIsThereAfterReopening) {
  auto conversation = create();
  auto message = append(conversation, "x");
  open(true);
  EXPECT_EQ(news(), (std::vector<Change>{{user_, conversation.id, {}},
                                         {user_, conversation.id, message.id}}));
}

TEST_F(ChangeFeedTest, AnOpeningThatKeepsNoneEndsTheSequence) {
  auto sequence = feed_->sequence();
  create();
  open(false);
  create();
  open(true);
  EXPECT_NE(feed_->sequence(), sequence);
  EXPECT_TRUE(feed_->changes(0, 1000).empty());
}

TEST_F(ChangeFeedTest, WhatAnOlderProgramWritesEndsTheSequence) {
  auto sequence = feed_->sequence();
  create();
  open(true);
  EXPECT_EQ(feed_->sequence(), sequence);
  feed_.reset();
  store_.reset();
  {
    // One that does not know of changes: it neither keeps them nor drops what was kept.
    harness_.options().keep_changes = false;
    Database database(harness_.options());
    RandomIdSource ids;
    WriteGroup group(database, ids, Uuid());
    group.begin(harness_.clock().now_ms() + 1000);
    group.remove_derived("nothing");
    ASSERT_TRUE(group.prepare());
    ASSERT_TRUE(database.db().Write(rocksdb::WriteOptions(), &group.batch()).ok());
  }
  open(true);
  EXPECT_NE(feed_->sequence(), sequence);
  sequence = feed_->sequence();
  create();
  open(true);
  EXPECT_EQ(feed_->sequence(), sequence);
}

TEST_F(ChangeFeedTest, WhatIsDroppedIsDroppedKeyByKey) {
  create();
  feed_.reset();
  store_.reset();
  harness_.options().keep_changes = false;
  {
    Database database(harness_.options());
    auto before = database.db().GetLatestSequenceNumber();
    change_log::drop(database);
    EXPECT_EQ(rows_of(database), 0);
    std::unique_ptr<rocksdb::TransactionLogIterator> log;
    ASSERT_TRUE(database.db().GetUpdatesSince(before + 1, &log).ok());
    int commits = 0;
    for (; log->Valid(); log->Next(), ++commits) {
      auto batch = std::move(log->GetBatch().writeBatchPtr);
      EXPECT_FALSE(batch->HasDeleteRange());
    }
    EXPECT_GT(commits, 0);
  }
}

TEST_F(ChangeFeedTest, ReadsEverythingInPieces) {
  std::vector<ConversationId> made;
  for (int i = 0; i < 7; ++i) made.push_back(create(std::to_string(i)).id);
  std::vector<ConversationId> found;
  std::string position;
  do {
    auto batch = feed_->conversations(position, 3);
    for (const auto& name : batch.conversations) {
      EXPECT_EQ(name.user, user_);
      found.push_back(name.id);
    }
    position = batch.next;
  } while (!position.empty());
  EXPECT_EQ(found, made);
  auto conversation = create();
  std::vector<MessageId> appended;
  for (int i = 0; i < 9; ++i) appended.push_back(append(conversation, std::string(1000, 'x')).id);
  std::vector<MessageId> read;
  MessageId last;
  for (bool more = true; more;) {
    auto piece = feed_->messages(conversation.id, last, 2000);
    EXPECT_LE(piece.messages.size(), 2U);
    for (const auto& message : piece.messages) read.push_back(message.id);
    last = piece.last;
    more = piece.more;
  }
  EXPECT_EQ(read, appended);
}

TEST_F(ChangeFeedTest, AGarbledMessageIsPassedOverAndTheOthersAreRead) {
  auto conversation = create();
  std::vector<MessageId> ids;
  for (int i = 0; i < 3; ++i) ids.push_back(append(conversation, "x").id);
  feed_.reset();
  store_.reset();
  {
    Database database(harness_.options());
    auto key = keys::message(conversation.id, ids[1]);
    rocksdb::WriteOptions durable;
    ASSERT_TRUE(database.db().Put(durable, database.messages(), key, "garbled").ok());
  }
  open(true);
  auto piece = feed_->messages(conversation.id, {}, 1000);
  EXPECT_EQ(piece.unreadable, 1U);
  ASSERT_EQ(piece.messages.size(), 2U);
  EXPECT_EQ(piece.messages[1].id, ids[2]);
  EXPECT_EQ(piece.last, ids[2]);
  EXPECT_FALSE(piece.more);
}

TEST(ChangeLog, AGarbledRowIsAnErrorAndNothingWorse) {
  std::string changes;
  change_log::append(changes, keys::conversation(UserId("u"), ConversationId()), MessageId());
  auto row = change_log::encode(5, changes);
  EXPECT_EQ(change_log::decode(1, row).at_ms, 5);
  for (std::size_t size = 0; size < row.size(); ++size) {
    if (size == 9) continue;  // a row without changes
    EXPECT_THROW(change_log::decode(1, row.substr(0, size)), Error) << size;
  }
}

}  // namespace
}  // namespace colloquy::store
