// What the index must survive, and what goes with what it was made from.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "search/checked_pages.h"
#include "search/index_files.h"
#include "search/index_writer.h"
#include "search/search_harness.h"
#include "store/rocksdb/change_log.h"
#include "store/rocksdb/keys.h"

namespace colloquy::search {
namespace {

namespace fs = std::filesystem;

class IndexFaultsTest : public SearchHarness {};

TEST_F(IndexFaultsTest, WhatWasThereBeforeTheIndexIsInIt) {
  close();
  harness_.options().keep_changes = false;
  store_ = harness_.open_rocksdb();
  for (int i = 0; i < 30; ++i) append(create("old", ann_), "a condor");
  store_.reset();
  harness_.options().keep_changes = true;
  open();
  caught_up();
  EXPECT_EQ(page("condor", ann_, 50).hits.size(), 30U);
}

TEST_F(IndexFaultsTest, AnOlderCopyOfTheIndexHasEverythingAgain) {
  auto conversation = create("copy", ann_);
  append(conversation, "a toucan");
  caught_up();
  close();
  fs::copy(folder_ / "search", folder_ / "saved");
  open();
  append(conversation, "a hoatzin");
  caught_up();
  // Also when the store has forgotten the changes in between.
  for (bool forgotten : {false, true}) {
    close();
    if (forgotten) {
      store_ = harness_.open_rocksdb();
      auto feed = store_->change_feed();
      while (feed->forget_some(feed->newest())) {
      }
      store_.reset();
    }
    fs::remove_all(folder_ / "search");
    fs::copy(folder_ / "saved", folder_ / "search");
    open();
    EXPECT_EQ(find("hoatzin", ann_).size(), 1U) << forgotten;
    EXPECT_EQ(find("toucan", ann_).size(), 1U) << forgotten;
  }
}

TEST_F(IndexFaultsTest, ADeletedIndexIsMadeAnewWhileServing) {
  auto conversation = create("there", ann_);
  append(conversation, "a kiwi");
  ASSERT_EQ(find("kiwi", ann_).size(), 1U);
  fs::remove_all(folder_ / "search");
  append(conversation, "a moa");
  EXPECT_EQ(find("moa", ann_).size(), 1U);
  EXPECT_EQ(find("kiwi", ann_).size(), 1U);
  EXPECT_EQ(files().size(), 1U);
}

TEST_F(IndexFaultsTest, ADamagedIndexIsMadeAnewWhileServing) {
  auto conversation = create("there", ann_);
  for (int i = 0; i < 200; ++i) append(conversation, "a puffin " + std::to_string(i));
  caught_up();
  close();
  for (const auto& file : files()) {
    auto size = fs::file_size(file);
    std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
    for (std::size_t at = 40; at < size; at += 97) {
      bytes.seekp(static_cast<std::streamoff>(at));
      bytes.put('\x5a');
    }
  }
  open();
  EXPECT_LE(page("puffin", ann_).hits.size(), 20U);
  caught_up();
  EXPECT_EQ(page("puffin", ann_, 50).hits.size(), 50U);
}

TEST_F(IndexFaultsTest, OneFlippedBitInEachPageOfWordsIsNotTakenForWords) {
  auto conversation = create("there", ann_);
  for (int i = 0; i < 300; ++i) append(conversation, "a gannet " + std::to_string(i));
  caught_up();
  close();
  auto before = files();
  ASSERT_EQ(before.size(), 1U);
  {
    Connection connection(before[0], Connection::Mode::kWrite);
    connection.run("PRAGMA wal_checkpoint(TRUNCATE)");
  }
  auto size = fs::file_size(before[0]);
  {
    std::fstream bytes(before[0], std::ios::in | std::ios::out | std::ios::binary);
    for (std::size_t at = kPageBytes + 3000; at < size; at += kPageBytes) {
      bytes.seekg(static_cast<std::streamoff>(at));
      auto byte = static_cast<char>(bytes.get() ^ 0x10);
      bytes.seekp(static_cast<std::streamoff>(at));
      bytes.put(byte);
    }
  }
  open();
  caught_up();
  EXPECT_EQ(page("gannet", ann_, 50).hits.size(), 50U);
  EXPECT_NE(files(), before);
}

TEST_F(IndexFaultsTest, AConversationOfLargeMessagesIsRemovedInPieces) {
  auto conversation = create("large", ann_);
  std::string text;
  for (int i = 0; text.size() < 900 * limits::kKiB; ++i)
    text += "pelican" + std::to_string(i) + std::string(60, 'n') + " ";
  for (int i = 0; i < 12; ++i) append(conversation, text);
  ASSERT_EQ(find("large", ann_).size(), 1U);
  auto path = files().front();
  close();
  {
    IndexWriter writer(path);
    int pieces = 0;
    while (writer.remove_some(conversation.id)) {
      EXPECT_LT(writer.uncommitted_bytes(), 6 * limits::kMiB);
      writer.commit();
      ++pieces;
    }
    EXPECT_GE(pieces, 2);
    writer.roll_back();
  }
  open();
  run_task(store_->delete_conversation(ann_, conversation.id, std::nullopt));
  EXPECT_TRUE(find("pelican7" + std::string(60, 'n'), ann_).empty());
}

TEST_F(IndexFaultsTest, AGarbledRecordIsPassedOver) {
  auto bad = create("bad", ann_);
  auto worse = create("worse", ann_);
  auto good = create("good", ann_);
  auto message = append(bad, "a dodo");
  append(bad, "between");  // whose parent is the garbled one
  append(bad, "a dodo, too");
  append(good, "a dodo as well");
  caught_up();
  close();
  // Both are also said to have changed.
  auto worse_key = store::keys::conversation(ann_, worse.id);
  std::string changes;
  store::change_log::append(changes, store::keys::conversation(ann_, bad.id), message.id);
  store::change_log::append(changes, worse_key, {});
  auto row = store::keys::changes(harness_.next_number());
  harness_.put_raw({{"messages", store::keys::message(bad.id, message.id), "garbled"},
                    {"conversations", worse_key, "garbled"},
                    {"derived", row, store::change_log::encode(1, changes)}});
  for (bool anew : {false, true}) {
    if (anew) fs::remove_all(folder_ / "search");
    open();
    append(good, "another dodo");
    caught_up();
    EXPECT_EQ(page("\"another dodo\"", ann_).hits.size(), anew ? 2U : 1U);
    EXPECT_EQ(page("\"dodo too\"", ann_).hits.size(), 1U);
    close();
  }
}

TEST_F(IndexFaultsTest, AGarbledRowOfChangesHasTheIndexMadeAnew) {
  auto conversation = create("there", ann_);
  append(conversation, "a lark");
  caught_up();
  auto before = files();
  close();
  // A message that was not fed, and whose change cannot be read.
  store_ = harness_.open_rocksdb();
  append(conversation, "another lark");
  store_.reset();
  harness_.put_raw({{"derived", store::keys::changes(harness_.next_number()), "garbled"},
                    {"derived", "no key of ours", ""}});
  open();
  EXPECT_EQ(find("lark", ann_).size(), 2U);
  EXPECT_NE(files(), before);
}

TEST_F(IndexFaultsTest, WhenTooManyChangesWaitTheIndexIsMadeAnew) {
  auto conversation = create("there", ann_);
  append(conversation, "a wren");
  caught_up();
  auto before = files();
  close();
  store_ = harness_.open_rocksdb();
  for (int i = 0; i < 1200; ++i) append(conversation, "another bird");
  append(conversation, "another wren");
  store_.reset();
  most_unfed_ = 2000;
  open();
  EXPECT_EQ(find("wren", ann_).size(), 2U);
  EXPECT_NE(files(), before);
}

TEST_F(IndexFaultsTest, TheIndexGivesWayToTheStore) {
  auto conversation = create("there", ann_);
  append(conversation, "a crane");
  caught_up();
  // Fed no more: it does not say that it is complete, and says so of a search soon.
  free_bytes_ = kLow;
  append(conversation, "another crane");
  auto give_up = std::chrono::steady_clock::now() + std::chrono::minutes(4);
  while (page("crane", ann_).complete) {
    ASSERT_LT(std::chrono::steady_clock::now(), give_up);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(page("crane", ann_).hits.size(), 1U);
  free_bytes_ = kAmple;
  EXPECT_EQ(find("crane", ann_).size(), 2U);
  // None is begun.
  free_bytes_ = kLow;
  close();
  fs::remove_all(folder_ / "search");
  open();
  EXPECT_FALSE(page("crane", ann_).complete);
  give_up = std::chrono::steady_clock::now() + std::chrono::milliseconds(600);
  while (std::chrono::steady_clock::now() < give_up) {
    EXPECT_TRUE(!fs::exists(folder_ / "search") || files().empty());
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

TEST_F(IndexFaultsTest, AHalfMadeIndexGoesWhereTheDiskFills) {
  auto conversation = create("there", ann_);
  std::string text(64 * limits::kKiB, 'x');
  for (int i = 0; i < 300; ++i) append(conversation, text + " a stork " + std::to_string(i));
  caught_up();
  close();
  fs::remove_all(folder_ / "search");
  looks_ = 2;  // before it is begun: for it, and for the round
  open();
  auto give_up = std::chrono::steady_clock::now() + std::chrono::minutes(4);
  auto begun = [this] {
    auto metrics = harness_.metrics().render();
    return metrics.find("colloquy_search_rebuilds_total 2") != std::string::npos;
  };
  while (!begun() || !files().empty()) {
    ASSERT_LT(std::chrono::steady_clock::now(), give_up);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_FALSE(page("stork", ann_).complete);
  free_bytes_ = kAmple;
  search_->rebuild();
  EXPECT_EQ(find("stork", ann_).size(), 20U);
}

TEST_F(IndexFaultsTest, AUserWithoutDocumentsLeavesNothing) {
  auto hers = create("hers", ann_);
  append(hers, "a nightjar");
  auto his = create("his", ben_);
  append(his, "a nightjar");
  caught_up();
  run_task(store_->delete_conversation(ann_, hers.id, std::nullopt));
  caught_up();
  close();
  Connection connection(files().front(), Connection::Mode::kRead);
  Statement look(connection.get(), "SELECT user FROM users ORDER BY number");
  std::vector<std::string> users;
  while (look.step()) users.emplace_back(look.bytes(0));
  EXPECT_EQ(users, (std::vector<std::string>{"ben", "witness"}));
}

TEST_F(IndexFaultsTest, WithoutSearchNoIndexIsLeft) {
  append(create("there", ann_), "a swift");
  caught_up();
  close();
  index_files::remove_all(folder_ / "search");
  EXPECT_FALSE(fs::exists(folder_ / "search"));
  index_files::remove_all(folder_ / "search");
}

TEST_F(IndexFaultsTest, AnIndexOfAnotherStoreIsNotUsed) {
  append(create("mine", ann_), "a rook");
  caught_up();
  close();
  store::RocksDbHarness other;
  other.options().keep_changes = true;
  auto other_store = other.open_rocksdb();
  IndexedSearch search(IndexOptions{folder_ / "search"}, *other_store, other_store->change_feed(),
                       other.clock(), other.metrics());
  Request request;
  request.user = ann_;
  request.text = "rook";
  for (bool complete = false; !complete;) {
    auto found = run_task(search.find(request));
    EXPECT_TRUE(found.hits.empty());
    complete = found.complete;
  }
}

TEST_F(IndexFaultsTest, ARebuildThatIsAskedForEndsInAWholeIndex) {
  auto conversation = create("there", ann_);
  for (int i = 0; i < 50; ++i) append(conversation, "an auk " + std::to_string(i));
  caught_up();
  auto before = files();
  EXPECT_TRUE(search_->rebuild());
  auto give_up = std::chrono::steady_clock::now() + std::chrono::minutes(4);
  while (files() == before || files().size() != 1) {
    ASSERT_LT(std::chrono::steady_clock::now(), give_up);
    auto found = page("auk", ann_, 50);
    EXPECT_TRUE(found.complete);
    EXPECT_EQ(found.hits.size(), 50U);
  }
  EXPECT_EQ(find("auk", ann_).size(), 20U);
}

}  // namespace
}  // namespace colloquy::search
