// A disk that is full, or fails: writes are refused cleanly, nothing acknowledged is lost, and the
// store heals.
#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "base/error.h"
#include "store/rocksdb/faulty_harness.h"

namespace colloquy::store {
namespace {

std::optional<Error> append_error(FaultyHarness& harness, const Conversation& conversation) {
  try {
    harness.append(conversation, std::string(500, 'x'));
    return std::nullopt;
  } catch (const Error& error) {
    return error;
  }
}

// Healing may take RocksDB a few tries of its own; bounded by a deadline, not by hope.
bool heals(FaultyHarness& harness) {
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (std::chrono::steady_clock::now() < deadline) {
    harness.store().sweep_now();
    if (harness.store().not_ready_reason().empty()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return false;
}

TEST(DiskFull, WritesAreRefusedWhereTheRoomIsBelowTheLimitAndDeletionsAreNot) {
  FaultyHarness harness;
  harness.options().min_free_disk_bytes = 1000;
  harness.open();
  auto conversation = harness.create(UserId("alice"), "title");
  auto message = harness.append(conversation, "kept");
  auto other = harness.append(conversation, "deleted");
  harness.files().set_free_space(999);
  harness.store().sweep_now();
  EXPECT_EQ(harness.store().not_ready_reason(), "the disk is full");
  auto error = append_error(harness, conversation);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::kUnavailable);
  EXPECT_EQ(error->message(), "The disk is full.");
  EXPECT_GT(error->retry_after_s(), 0);
  run_task(harness.store().delete_message(UserId("alice"), conversation.id, other.id));
  EXPECT_EQ(harness.messages(conversation).size(), 1U);
  harness.files().set_free_space(1000);
  harness.store().sweep_now();
  EXPECT_EQ(harness.store().not_ready_reason(), "");
  EXPECT_FALSE(append_error(harness, conversation));
}

// What each kind of write with a key made, and its repeats.
struct KeyedWrites {
  explicit KeyedWrites(FaultyHarness& harness_in) : harness(harness_in) {
    home = create("create").conversation;
    message = append("append").message;
    turn = start("start", home.id);
    fresh_turn = start("start new", std::nullopt);
  }

  IdempotencyKey key(const std::string& name) const {
    return {name, {}, harness.clock().now_s() + 3600, "Idempotency-Key"};
  }
  CreatedConversation create(const std::string& name) const {
    return run_task(harness.store().create_conversation(
        alice, NewConversation{"title", "", {}, std::nullopt}, key(name)));
  }
  AppendedMessage append(const std::string& name) const {
    return run_task(harness.store().append_message(
        alice, home.id, NewMessage{Role::kUser, "kept", {}, ""}, key(name)));
  }
  StartedTurn start(const std::string& name, std::optional<ConversationId> id) const {
    NewTurn fresh;
    fresh.conversation_id = id;
    if (!id) fresh.new_conversation.emplace();
    fresh.prompt = {Role::kUser, "prompt", {}, ""};
    fresh.lease_until_s = harness.clock().now_s() + 600;
    return run_task(harness.store().start_turn(alice, fresh, key(name)));
  }

  void expect_repeats_answered() const {
    auto created = create("create");
    EXPECT_TRUE(created.replayed);
    EXPECT_EQ(created.conversation.id, home.id);
    auto appended = append("append");
    EXPECT_TRUE(appended.replayed);
    EXPECT_EQ(appended.message, message);
    for (const auto& [name, first, id] :
         {std::tuple("start", &turn, std::optional(home.id)),
          std::tuple("start new", &fresh_turn, std::optional<ConversationId>())}) {
      auto repeated = start(name, id);
      EXPECT_TRUE(repeated.replayed);
      EXPECT_EQ(repeated.prompt, first->prompt);
      EXPECT_EQ(repeated.reply, first->reply);
    }
  }
  void expect_new_ones_refused() const {
    auto code_of = [](auto&& write) {
      try {
        write();
        return ErrorCode::kInternal;
      } catch (const Error& error) {
        return error.code();
      }
    };
    EXPECT_EQ(code_of([&] { create("other"); }), ErrorCode::kUnavailable);
    EXPECT_EQ(code_of([&] { append("other"); }), ErrorCode::kUnavailable);
    EXPECT_EQ(code_of([&] { start("other", home.id); }), ErrorCode::kUnavailable);
    EXPECT_EQ(code_of([&] { append("create"); }), ErrorCode::kInvalid);  // another request's key
  }

  FaultyHarness& harness;
  const UserId alice{"alice"};
  Conversation home;
  Message message;
  StartedTurn turn;
  StartedTurn fresh_turn;
};

TEST(DiskFull, ARepeatOfWhatWasSavedIsAnsweredWithoutRoom) {
  FaultyHarness harness;
  harness.options().min_free_disk_bytes = 1000;
  harness.open();
  const KeyedWrites writes(harness);
  harness.files().set_free_space(999);
  harness.store().sweep_now();
  writes.expect_repeats_answered();
  writes.expect_new_ones_refused();
  run_task(harness.store().delete_message(writes.alice, writes.home.id, writes.message.id));
  try {
    writes.append("append");
    ADD_FAILURE() << "what the key made is deleted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kConflict);
  }
}

TEST(DiskFails, ARepeatOfWhatWasSavedIsAnswered) {
  FaultyHarness harness;
  harness.open();
  const KeyedWrites writes(harness);
  harness.files().fail(FaultyFileSystem::Fault::kIoError);
  ASSERT_TRUE(append_error(harness, writes.home));
  writes.expect_repeats_answered();
  writes.expect_new_ones_refused();
}

// Fills up at the n-th write to any file, for every n until a run of writes gets through.
TEST(DiskFull, NothingIsLostWhereverItHappensAndItHealsWhenThereIsRoom) {
  for (std::uint64_t after = 0;; after += 1 + after / 8) {
    FaultyHarness harness;
    harness.open();
    auto conversation = harness.create(UserId("alice"), "title");
    std::set<MessageId> acknowledged;
    harness.files().fail(FaultyFileSystem::Fault::kNoSpace, after);
    bool failed = false;
    for (int i = 0; i < 300; ++i) {
      try {
        acknowledged.insert(harness.append(conversation, std::string(1000, 'x')).id);
      } catch (const Error& error) {
        failed = true;
        EXPECT_EQ(error.code(), ErrorCode::kUnavailable) << error.detail();
        break;
      }
    }
    if (failed) {
      EXPECT_NE(harness.store().not_ready_reason(), "");
      EXPECT_EQ(harness.messages(conversation).size(), acknowledged.size());
    }
    harness.files().heal();
    ASSERT_TRUE(heals(harness)) << "after " << after << ": " << harness.store().not_ready_reason();
    for (int i = 0; i < 5; ++i) acknowledged.insert(harness.append(conversation, "more").id);
    harness.close();
    harness.files().lose_power();
    harness.open();
    std::set<MessageId> stored;
    for (const auto& message : harness.messages(conversation)) stored.insert(message.id);
    for (const auto& id : acknowledged) ASSERT_TRUE(stored.contains(id)) << "after " << after;
    if (!failed) break;
  }
}

std::vector<std::string> contents_of(FaultyHarness& harness, const Conversation& conversation) {
  std::vector<std::string> contents;
  for (const auto& message : harness.messages(conversation)) contents.push_back(message.content);
  return contents;
}

// As an import does it, at each write there is.
TEST(DiskFails, AConversationThatIsTakenIsThereWholeOrNotAtAll) {
  const UserId user("alice");
  const std::string content(100'000, 'x');
  bool failed = true;
  std::uint64_t after = 0;
  for (; failed; ++after) {
    SCOPED_TRACE(after);
    ASSERT_LT(after, 200U);
    FaultyHarness harness;
    harness.open();
    harness.create(user, "another");
    Conversation conversation;
    conversation.user_id = user;
    conversation.id = ConversationId(Uuid::make_v7(harness.clock().now_ms(), 7, 7));
    conversation.created_at_s = conversation.updated_at_s = harness.clock().now_s();
    conversation.version = 1;
    std::vector<Message> messages(3);
    auto id = MessageId(Uuid::make_v7(harness.clock().now_ms(), 8, 8));
    for (auto& message : messages) {
      message.id = id;
      message.content = content;
      message.timestamp_s = conversation.created_at_s;
      id = id.successor();
    }
    harness.files().fail(FaultyFileSystem::Fault::kIoError, after);
    bool taken = false;
    try {
      taken = run_task(harness.store().take(conversation, messages));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnavailable) << error.detail();
    }
    failed = !taken;
    harness.files().heal();
    harness.close();
    harness.files().lose_power();
    harness.open();
    const auto there = run_task(harness.store().get_conversation(user, conversation.id));
    EXPECT_TRUE(there || !taken);
    if (there) {
      EXPECT_EQ(contents_of(harness, *there), std::vector(3, content));
    }
    EXPECT_EQ(run_task(harness.store().take(conversation, messages)), !there);
    EXPECT_EQ(contents_of(harness, conversation), std::vector(3, content));
    harness.store().sweep_now();
    EXPECT_EQ(harness.store().stats().conversations, 2U);
    EXPECT_EQ(harness.store().stats().messages, 3U);
  }
  EXPECT_GT(after, 2U);
}

// To open it again takes room for what is only in the logs.
TEST(DiskFull, StaysOpenForReadersUntilThereIsRoomToOpenItAgain) {
  FaultyHarness harness;
  harness.open();
  auto conversation = harness.create(UserId("alice"), "title");
  harness.append(conversation, "kept");
  harness.files().fail(FaultyFileSystem::Fault::kNoSpace);
  ASSERT_TRUE(append_error(harness, conversation));
  harness.files().heal();
  harness.files().set_free_space(limits::kMiB);  // for the probe, and no more
  harness.store().sweep_now();
  EXPECT_NE(harness.store().not_ready_reason(), "");
  EXPECT_EQ(harness.messages(conversation).size(), 1U);
  auto error = append_error(harness, conversation);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::kUnavailable);
  harness.files().set_free_space(64 * limits::kMiB);
  EXPECT_TRUE(heals(harness)) << harness.store().not_ready_reason();
  EXPECT_FALSE(append_error(harness, conversation));
}

TEST(DiskFails, WritesAreRefusedNothingIsLostAndItHeals) {
  FaultyHarness harness;
  harness.open();
  auto conversation = harness.create(UserId("alice"), "title");
  harness.append(conversation, "kept");
  harness.files().fail(FaultyFileSystem::Fault::kIoError);
  auto error = append_error(harness, conversation);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::kUnavailable);
  EXPECT_NE(harness.store().not_ready_reason(), "");
  EXPECT_EQ(harness.messages(conversation).size(), 1U);  // reading goes on
  harness.files().heal();
  EXPECT_TRUE(heals(harness)) << harness.store().not_ready_reason();
  EXPECT_FALSE(append_error(harness, conversation));
  EXPECT_EQ(harness.messages(conversation).size(), 2U);
  EXPECT_EQ(harness.store().stats().messages, 2U);
}

}  // namespace
}  // namespace colloquy::store
