// A disk that is full, or fails: writes are refused cleanly, nothing acknowledged is lost, and the
// store heals.
#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <thread>

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
