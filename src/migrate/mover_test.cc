#include "migrate/mover.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <sstream>

#include "base/error.h"
#include "base/testing/run_task.h"
#include "store/rocksdb/rocksdb_harness.h"
#include "store/rocksdb/rocksdb_transfer.h"

namespace colloquy::store {
// The harness brings the suite; stores run it elsewhere.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(StoreConformance);
}  // namespace colloquy::store

namespace colloquy::migrate {
namespace {

using store::Message;
using store::RocksDbTransfer;

// Passes every call on; the one of number `fails_at` throws, and so do all after it.
class FailingImporter final : public store::Importer {
 public:
  FailingImporter(store::Importer& to, int fails_at) : to_(to), left_(fails_at) {}

  Task<std::uint64_t> estimate() override { return to_.estimate(); }
  Task<store::MovedConversations> conversations(std::string position) override {
    return to_.conversations(std::move(position));
  }
  Task<store::MovedMessages> messages(store::MovedConversation of, std::string position) override {
    count();
    return to_.messages(std::move(of), std::move(position));
  }
  Task<std::optional<store::MovedConversation>> find(UserId user, ConversationId id) override {
    count();
    return to_.find(std::move(user), id);
  }
  Task<> put_messages(store::Conversation of, std::vector<Message> messages) override {
    count();
    return to_.put_messages(std::move(of), std::move(messages));
  }
  Task<> put_conversation(store::Conversation conversation,
                          std::optional<MessageId> newest) override {
    count();
    return to_.put_conversation(std::move(conversation), newest);
  }
  Task<> flush() override {
    count();
    return to_.flush();
  }

 private:
  void count() {
    if (--left_ < 0) throw unavailable("The test ends it here.");
  }
  store::Importer& to_;
  int left_;
};

class MoverTest : public ::testing::Test {
 protected:
  MoverTest() {
    auto store = from_.open();
    for (int i = 0; i < 130; ++i) {
      UserId user("user " + std::to_string(i % 3));
      store::NewConversation made;
      made.title = std::to_string(i);
      made.system_prompt = std::string(static_cast<std::size_t>(i) * 10, 's');
      if (i % 10 == 0) made.ttl_seconds = 100;
      if (i % 10 == 1) made.ttl_seconds = 1'000'000;
      auto id = run_task(store->create_conversation(user, made, {})).conversation.id;
      for (int m = 0; m < i % 4; ++m) {
        store::NewMessage message;
        message.content = "message " + std::to_string(m);
        if (m == 1) message.attachments = {"a.txt", "b/" + std::to_string(i)};
        run_task(store->append_message(user, id, message, {}));
      }
      if (i == 7) start_turn(*store, user, id);
      if (i == 19) make_tree(*store, user, id);
    }
    from_.clock().advance_ms(500'000);  // what lives 100 s has expired
  }

  static void start_turn(store::Store& store, const UserId& user, const ConversationId& id) {
    store::NewTurn turn;
    turn.conversation_id = id;
    turn.prompt.content = "still running";
    run_task(store.start_turn(user, turn, {}));
  }

  // Branches, with the first one active, and settings of the context.
  static void make_tree(store::Store& store, const UserId& user, const ConversationId& id) {
    auto first = run_task(store.list_messages(user, id, {})).messages.front();
    store::NewMessage sibling;
    sibling.content = "elsewhere";
    sibling.place = store::TreePlace{};
    run_task(store.append_message(user, id, sibling, {}));
    store::ConversationPatch patch;
    patch.active = store::TreePlace{first.branch, first.id};
    patch.context.emplace().messages.emplace(7);
    patch.summary.emplace(store::ContextSummary{"in short", first.id, first.branch});
    run_task(store.update_conversation(user, id, patch, {}));
  }

  std::unique_ptr<RocksDbTransfer> open(store::RocksDbHarness& harness) {
    return std::make_unique<RocksDbTransfer>(harness.options().path, RocksDbTransfer::Open::kOrNew,
                                             from_.clock(), ids_);
  }

  // One run, as a process of its own would make it.
  Moved run(int fails_at = 1'000'000) {
    auto from = open(from_);
    auto to = open(to_);
    FailingImporter failing(*to, fails_at);
    ProgressFile file(folder_ / "progress", "a", "b", from_.clock().now_s());
    std::ostringstream out;
    ProgressReport report(out, false);
    Mover mover(*from, failing, file, report, from_.clock(), 3);
    return run_task(mover.run());
  }

  std::string failure() {
    try {
      run();
    } catch (const Error& error) {
      return error.message();
    }
    return "";
  }

  RandomIdSource ids_;
  store::TemporaryFolder folder_;
  store::RocksDbHarness from_;
  store::RocksDbHarness to_;
};

TEST_F(MoverTest, MovesWhatHasNotExpired) {
  auto moved = run();
  EXPECT_EQ(moved.from.conversations, 117U);  // 13 of 130 have
  EXPECT_EQ(moved.from, moved.to);
  to_.clock().set_ms(from_.clock().now_ms());
  auto from = from_.open();
  auto to = to_.open();
  EXPECT_EQ(to->stats().conversations, 117U);
  EXPECT_EQ(to->stats().messages, moved.to.messages);
  UserId user("user 1");
  auto before = run_task(from->list_conversations(user, 200, {})).conversations;
  auto after = run_task(to->list_conversations(user, 200, {})).conversations;
  for (auto& conversation : before) conversation.held_until_s = 0;
  EXPECT_EQ(after, before);
  for (const auto& conversation : after) {
    store::MessageRange all;
    all.all_branches = true;
    auto there = run_task(to->list_messages(user, conversation.id, all)).messages;
    EXPECT_EQ(there, run_task(from->list_messages(user, conversation.id, all)).messages);
    if (conversation.title == "7") {
      EXPECT_EQ(there.back().status, store::MessageStatus::kInterrupted);
    }
  }
}

TEST_F(MoverTest, GoesOnAfterAnyCallHasFailed) {
  int runs = 0;
  Moved moved;
  // Each run gets a little further than it must, or fails at once.
  for (int fails_at = 0;; fails_at += 40) {
    ++runs;
    try {
      moved = run(fails_at);
      break;
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), ErrorCode::kUnavailable) << error.message();
    }
  }
  EXPECT_GT(runs, 5);
  EXPECT_EQ(moved.from, moved.to);
  EXPECT_EQ(moved.to.conversations, 117U);
  EXPECT_EQ(to_.open()->stats().messages, moved.to.messages);
  EXPECT_EQ(run().to, moved.to);
  EXPECT_EQ(to_.open()->stats().messages, moved.to.messages);
}

TEST_F(MoverTest, ADifferenceIsNamedAndFoundAgain) {
  run();
  UserId user("user 2");
  ConversationId changed;
  {
    auto to = to_.open();
    changed = run_task(to->list_conversations(user, 1, {})).conversations.front().id;
    store::NewMessage message;
    message.content = "written later";
    run_task(to->append_message(user, changed, message, {}));
  }
  for (int i = 0; i < 2; ++i) {
    auto message = failure();
    EXPECT_THAT(message, ::testing::HasSubstr(changed.to_string() + " of user 2"));
    EXPECT_THAT(message, ::testing::HasSubstr("is in the target only"));
  }
}

TEST_F(MoverTest, AStoreThatIsOpenIsRefused) {
  auto server = to_.open();
  EXPECT_THAT(failure(), ::testing::HasSubstr("Another process has the store open"));
}

}  // namespace
}  // namespace colloquy::migrate
