// Search over a real store and a real index.
#include "search/indexed_search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "search/scanning_search.h"
#include "search/search_harness.h"

namespace colloquy::search {
namespace {

namespace fs = std::filesystem;

class IndexedSearchTest : public SearchHarness {};

TEST_F(IndexedSearchTest, FindsTitlesAndMessagesOfTheirUserOnly) {
  auto hers = create("Holidays in Norway", ann_);
  auto his = create("Norway, too", ben_);
  auto message = append(hers, "The fjords of Norway are deep.");
  append(his, "Norway by train");
  auto hits = find("norway", ann_);
  ASSERT_EQ(hits.size(), 2U);
  std::set<bool> kinds;
  for (const auto& hit : hits) {
    EXPECT_EQ(hit.conversation, hers.id);
    kinds.insert(hit.message.has_value());
    if (hit.message) {
      EXPECT_EQ(hit.message->id, message.id);
    }
  }
  EXPECT_EQ(kinds.size(), 2U);
  EXPECT_EQ(find("fjord", ann_).size(), 1U);
  EXPECT_TRUE(find("fjord", ben_).empty());
  EXPECT_TRUE(find("norway", UserId("anna")).empty());
  EXPECT_TRUE(find("norway", UserId("an")).empty());
}

TEST_F(IndexedSearchTest, WhatIsDeletedRenamedOrExpiredIsNotFound) {
  auto conversation = create("first title", ann_);
  auto message = append(conversation, "a walrus");
  ASSERT_EQ(find("walrus", ann_).size(), 1U);
  run_task(store_->delete_message(ann_, conversation.id, message.id));
  EXPECT_TRUE(page("walrus", ann_).hits.empty()) << "at once, whatever the index says";
  store::ConversationPatch patch;
  patch.title = "second title";
  run_task(store_->update_conversation(ann_, conversation.id, patch, std::nullopt));
  EXPECT_TRUE(page("first", ann_).hits.empty());
  EXPECT_EQ(find("second", ann_).size(), 1U);
  run_task(store_->delete_conversation(ann_, conversation.id, std::nullopt));
  EXPECT_TRUE(page("second", ann_).hits.empty());
  auto brief = create("brief", ann_, 100);
  append(brief, "a heron");
  ASSERT_EQ(find("heron", ann_).size(), 1U);
  harness_.clock().advance_ms(101'000);
  EXPECT_TRUE(page("heron", ann_).hits.empty());
  EXPECT_TRUE(page("brief", ann_).hits.empty());
}

TEST_F(IndexedSearchTest, AnAnswerIsFoundWhenItIsFinishedAlsoWhenItsServerDied) {
  store::NewTurn turn;
  turn.new_conversation = store::NewConversation{"t", "", {}, std::nullopt};
  turn.prompt.content = "ostrich";
  auto started = run_task(store_->start_turn(ann_, turn, std::nullopt));
  auto reply = started.reply;
  reply.content = "emu";
  run_task(store_->save_partial(ann_, started.conversation.id, reply));
  EXPECT_EQ(find("ostrich", ann_).size(), 1U);
  EXPECT_TRUE(find("emu", ann_).empty());
  close();
  open();
  EXPECT_EQ(find("emu", ann_).size(), 1U) << "interrupted, with what was saved";
  turn.prompt.content = "another";
  started = run_task(store_->start_turn(ann_, turn, std::nullopt));
  reply = started.reply;
  reply.content = "cassowary";
  reply.status = store::MessageStatus::kComplete;
  run_task(store_->finish_turn(ann_, started.conversation.id, reply));
  EXPECT_EQ(find("cassowary", ann_).size(), 1U);
}

TEST_F(IndexedSearchTest, PagesHaveEverythingOnceWhileOthersWrite) {
  auto conversation = create("pages", ann_);
  std::set<std::string> all;
  for (int i = 0; i < 95; ++i) {
    std::string text = "penguin " + std::to_string(i);
    for (int j = 0; j < i % 7; ++j) text += " penguin and more";
    all.insert(append(conversation, text).id.to_string());
  }
  caught_up();
  std::multiset<std::string> found;
  std::optional<std::string> cursor;
  double last = 10;
  do {
    auto one = page("penguin", ann_, 10, cursor);
    EXPECT_LE(one.hits.size(), 10U);
    for (const auto& hit : one.hits) {
      EXPECT_LE(hit.score, last);
      last = hit.score;
      found.insert(hit.message->id.to_string());
    }
    cursor = one.next;
    append(conversation, "another penguin");
    caught_up();
  } while (cursor);
  for (const auto& id : all) EXPECT_EQ(found.count(id), 1U);
  EXPECT_EQ(found.size(), std::set<std::string>(found.begin(), found.end()).size());
}

TEST_F(IndexedSearchTest, MoreThanAWindowHasEverythingOnceWhileOthersWrite) {
  auto conversation = create("windows", ann_);
  std::set<std::string> all;
  for (std::size_t i = 0; i < IndexReader::kWindow + 100; ++i) {
    all.insert(append(conversation, "gull " + std::to_string(i)).id.to_string());
  }
  caught_up();
  std::multiset<std::string> found;
  std::optional<std::string> cursor;
  int pages = 0;
  do {
    auto one = page("gull", ann_, 50, cursor);
    for (const auto& hit : one.hits) found.insert(hit.message->id.to_string());
    cursor = one.next;
    // More than what is behind the first window's end.
    if (++pages > 3) continue;
    for (int i = 0; i < 60; ++i) append(conversation, "another gull");
    caught_up();
  } while (cursor);
  for (const auto& id : all) EXPECT_EQ(found.count(id), 1U);
  EXPECT_EQ(found.size(), std::set<std::string>(found.begin(), found.end()).size());
}

TEST_F(IndexedSearchTest, MoreThanAWindowIsReadToItsEnd) {
  auto conversation = create("windows", ann_);
  constexpr int kCount = 2 * static_cast<int>(IndexReader::kWindow) + 50;
  for (int i = 0; i < kCount; ++i) append(conversation, "gull " + std::to_string(i));
  caught_up();
  std::set<std::string> found;
  std::optional<std::string> cursor;
  std::size_t hits = 0;
  do {
    auto one = page("gull", ann_, 50, cursor);
    hits += one.hits.size();
    for (const auto& hit : one.hits) found.insert(hit.message->id.to_string());
    cursor = one.next;
  } while (cursor);
  EXPECT_EQ(found.size(), static_cast<std::size_t>(kCount));
  EXPECT_EQ(hits, found.size());
}

TEST_F(IndexedSearchTest, WithinAConversationOnly) {
  auto one = create("one", ann_);
  auto other = create("other", ann_);
  append(one, "a finch");
  append(other, "a finch");
  caught_up();
  Request request;
  request.user = ann_;
  request.text = "finch";
  request.conversation = other.id;
  auto found = run_task(search_->find(request));
  ASSERT_EQ(found.hits.size(), 1U);
  EXPECT_EQ(found.hits[0].conversation, other.id);
  request.user = ben_;
  EXPECT_THROW(run_task(search_->find(request)), Error);
}

TEST_F(IndexedSearchTest, ALongerRetentionShowsWhatHadExpiredAgain) {
  harness_.retain(100);
  close();
  open();
  append(create("brief", ann_), "a heron");
  EXPECT_EQ(find("heron", ann_).size(), 1U);
  harness_.clock().advance_ms(200'000);
  EXPECT_TRUE(find("heron", ann_).empty());
  // An index that is made now, before what has expired is removed, has it too.
  fs::remove_all(folder_ / "search");
  caught_up();
  harness_.retain(1'000'000);
  close();
  open();
  EXPECT_EQ(find("heron", ann_).size(), 1U);
  EXPECT_EQ(find("brief", ann_).size(), 1U);
  harness_.clock().advance_ms(2'000'000'000);
  store_->sweep_now();
  EXPECT_TRUE(find("heron", ann_).empty());
}

TEST_F(IndexedSearchTest, ImportedConversationsAreFound) {
  RandomIdSource ids;
  store::Conversation conversation;
  conversation.user_id = ann_;
  conversation.id = ConversationId(ids.next(1'600'000'000'000));
  conversation.title = "an ibis";
  std::vector<store::Message> messages(2);
  for (auto& message : messages) {
    message.id = MessageId(ids.next(1'600'000'001'000));
    message.content = "a spoonbill";
  }
  std::sort(messages.begin(), messages.end(),
            [](const auto& left, const auto& right) { return left.id < right.id; });
  caught_up();
  ASSERT_TRUE(run_task(store_->take(conversation, messages)));
  EXPECT_EQ(find("spoonbill", ann_).size(), 2U);
  EXPECT_EQ(find("ibis", ann_).size(), 1U);
}

TEST_F(IndexedSearchTest, ForgedCursorsAreRefusedOrHarmless) {
  append(create("there", ann_), "a tern");
  caught_up();
  for (const char* cursor : {"", "x", "1.2.3.4", "1.2.3.4.5.6", "1.2.3.4.-5", "1.2.3.4.5 ",
                             "8000000000000000.1.1.1.1", "1.1.ffffffffffffffff.1.1"}) {
    EXPECT_THROW(page("tern", ann_, 20, cursor), Error) << cursor;
  }
  for (const char* cursor : {"0.0.0.0.0", "7fffffffffffffff.7fffffffffffffff.0.7ff8000000000000.1",
                             "1.1.7fffffffffffffff.1.7fffffffffffffff"}) {
    page("tern", ann_, 20, cursor);
  }
}

TEST_F(IndexedSearchTest, EveryStringIsAnswered) {
  append(create("there", ann_), "AND OR NOT NEAR \" * ( ) : ^ - words rowid");
  caught_up();
  for (const char* text :
       {"AND", "OR NOT", "NEAR(a b)", "\"", "\"\"", "*", "words:", "a*", "^a", "-a", "{a}", "';--",
        "\\", "\xff", "a\"b\"c", "\"a b\" *", "+", "中", "🎉"}) {
    page(text, ann_);
  }
  EXPECT_EQ(find("near or not and", ann_).size(), 1U);
}

TEST(ScanningSearch, FindsWithinAConversationAndOverTitlesInPages) {
  store::RocksDbHarness harness;
  auto store = harness.open_rocksdb();
  ScanningSearch search(*store, harness.clock(), harness.metrics());
  const UserId ann("ann");
  store::NewConversation fresh{"a title of swans", "", {}, std::nullopt};
  auto id = run_task(store->create_conversation(ann, fresh, std::nullopt)).conversation.id;
  run_task(store->create_conversation(UserId("ben"), fresh, std::nullopt));
  for (int i = 0; i < 30; ++i) {
    harness.clock().advance_ms(1000);
    store::NewMessage message{store::Role::kUser, "swan " + std::to_string(i), {}, ""};
    run_task(store->append_message(ann, id, message, std::nullopt));
  }
  Request request;
  request.user = ann;
  request.text = "swan";
  request.limit = 7;
  auto titles = run_task(search.find(request));
  EXPECT_FALSE(titles.complete);
  ASSERT_EQ(titles.hits.size(), 1U);
  EXPECT_FALSE(titles.hits[0].message);
  request.conversation = id;
  std::set<std::string> found;
  std::size_t hits = 0;
  do {
    auto page = run_task(search.find(request));
    EXPECT_TRUE(page.complete);
    hits += page.hits.size();
    for (const auto& hit : page.hits) {
      found.insert(hit.message ? hit.message->id.to_string() : "title");
    }
    request.cursor = page.next;
  } while (request.cursor);
  EXPECT_EQ(found.size(), 31U);
  EXPECT_EQ(hits, 31U);
  request.text = "!!!";
  EXPECT_TRUE(run_task(search.find(request)).hits.empty());
  for (const char* text : {"!!!", "swan"}) {
    request.text = text;
    request.user = UserId("ben");
    EXPECT_THROW(run_task(search.find(request)), Error) << text;
  }
}

}  // namespace
}  // namespace colloquy::search
