// Removal by the sweeper and by erasures: its rate, what it tells, and a disk that fails in the
// middle of it.
#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/testing/next_call.h"
#include "store/rocksdb/faulty_harness.h"
#include "store/rocksdb/keys.h"

namespace colloquy::store {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

const UserId kAlice("alice");

TEST(Removal, IsNoFasterThanItsRate) {
  FaultyHarness harness;
  harness.options().removal_rate = 100;
  harness.options().sweep_interval = milliseconds(50);  // five messages each
  harness.open();
  auto conversation = harness.create(kAlice, "title");
  for (int i = 0; i < 40; ++i) harness.append(conversation, "message");
  auto other = harness.create(kAlice, "other");
  harness.append(other, "kept");
  auto began = steady_clock::now();
  run_task(harness.store().delete_conversation(kAlice, conversation.id, {}));
  auto metrics = [&harness] { return harness.metrics().render(); };
  while (metrics().find("colloquy_store_purged_messages_total 40") == std::string::npos) {
    ASSERT_LT(steady_clock::now() - began, std::chrono::seconds(60));
    std::this_thread::sleep_for(milliseconds(5));
  }
  EXPECT_GE(steady_clock::now() - began, milliseconds(7 * 50));
  EXPECT_EQ(harness.messages(other).size(), 1U);
}

TEST(Removal, TellsWhatHasExpired) {
  FaultyHarness harness;
  std::mutex mutex;
  std::vector<ConversationId> told;
  harness.options().retention_seconds = 60;
  harness.options().on_expired = [&](const UserId& user, ConversationId id) {
    std::scoped_lock lock(mutex);
    EXPECT_EQ(user, kAlice);
    told.push_back(id);
  };
  harness.open();
  auto conversation = harness.create(kAlice, "title");
  harness.clock().advance_ms(60'000);
  harness.store().sweep_now();
  std::scoped_lock lock(mutex);
  EXPECT_EQ(told, std::vector<ConversationId>{conversation.id});
}

bool try_to_delete(FaultyHarness& harness, const Conversation& conversation) {
  try {
    run_task(harness.store().delete_conversation(kAlice, conversation.id, std::nullopt));
    return true;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnavailable) << error.detail();
    return false;
  }
}

// The disk fails at the Nth call of a deletion and a sweep, for every N, and the power with it.
TEST(Removal, GoesOnWhereADiskHasFailed) {
  bool failed = true;
  std::uint64_t call = 0;
  for (; failed && call < 400; ++call) {
    FaultyHarness harness;
    harness.open();
    std::vector<Conversation> old;
    for (int i = 0; i < 3; ++i) {
      old.push_back(harness.create(kAlice, "old"));
      for (int k = 0; k < 4; ++k) harness.append(old.back(), std::string(20'000, 'm'));
    }
    harness.clock().advance_ms(100'000);
    auto kept = harness.create(kAlice, "kept");
    harness.append(kept, "message");
    auto unwanted = harness.create(kAlice, "unwanted");
    for (int k = 0; k < 4; ++k) harness.append(unwanted, std::string(20'000, 'm'));
    harness.close();
    harness.options().retention_seconds = 60;
    harness.open();
    auto fails_from = harness.files().writes() + call;
    harness.files().fail(FaultyFileSystem::Fault::kIoError, call);
    const bool deleted = try_to_delete(harness, unwanted);
    harness.store().sweep_now();
    failed = harness.files().writes() > fails_from;
    harness.files().heal();
    harness.close();
    harness.files().lose_power(nullptr);
    ASSERT_NO_THROW(harness.open()) << "call " << call;
    for (const auto& conversation : old) {
      ASSERT_FALSE(run_task(harness.store().get_conversation(kAlice, conversation.id)));
    }
    // One whose deletion was not acknowledged is there whole or gone.
    if (run_task(harness.store().get_conversation(kAlice, unwanted.id))) {
      ASSERT_FALSE(deleted) << "call " << call;
      ASSERT_EQ(harness.messages(unwanted).size(), 4U) << "call " << call;
      ASSERT_TRUE(try_to_delete(harness, unwanted));
    }
    harness.store().sweep_now();
    ASSERT_EQ(harness.store().stats().conversations, 1U) << "call " << call;
    ASSERT_EQ(harness.store().stats().messages, 1U) << "call " << call;
    ASSERT_EQ(harness.messages(kept).size(), 1U) << "call " << call;
  }
  EXPECT_GT(call, 3U);
  EXPECT_FALSE(failed);
}

// Works on a family of a database that is closed.
void open_closed(
    FaultyHarness& harness, const std::string& family,
    const std::function<void(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family)>& work) {
  rocksdb::Options options;
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (const char* name : {"default", "conversations", "messages", "derived"}) {
    families.emplace_back(name, rocksdb::ColumnFamilyOptions());
  }
  rocksdb::DB* opened = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  auto status = rocksdb::DB::Open(options, harness.options().path, families, &handles, &opened);
  ASSERT_TRUE(status.ok()) << status.ToString();
  std::unique_ptr<rocksdb::DB> db(opened);
  for (auto* handle : handles) {
    if (handle->GetName() == family) work(*db, handle);
  }
  for (auto* handle : handles) db->DestroyColumnFamilyHandle(handle);
}

// Puts garbage in the place of a record.
void damage(FaultyHarness& harness, const std::string& family, const std::string& key) {
  open_closed(harness, family, [&key](rocksdb::DB& db, rocksdb::ColumnFamilyHandle* handle) {
    auto status = db.Put({}, handle, key, "garbage");
    if (status.ok()) status = db.Flush({}, handle);
    ASSERT_TRUE(status.ok()) << status.ToString();
  });
}

std::size_t count_of(FaultyHarness& harness, const std::string& family, std::string_view part) {
  std::size_t count = 0;
  open_closed(harness, family, [&](rocksdb::DB& db, rocksdb::ColumnFamilyHandle* handle) {
    std::unique_ptr<rocksdb::Iterator> at(db.NewIterator({}, handle));
    for (at->SeekToFirst(); at->Valid(); at->Next()) {
      if (at->key().ToStringView().find(part) != std::string_view::npos) ++count;
    }
  });
  return count;
}

TEST(Erasing, TakesWhatIsDamagedAndWaitsForNobodyElsesDeletions) {
  FaultyHarness harness;
  harness.options().removal_rate = 1;
  harness.options().sweep_interval = milliseconds(3'600'000);
  harness.open();
  const UserId bob("bob");
  NewConversation fresh{"with details", std::string(1000, 's'), {}, std::nullopt};
  const IdempotencyKey key{"key", {}, 4'000'000'000};
  auto damaged = run_task(harness.store().create_conversation(kAlice, fresh, key)).conversation;
  harness.append(damaged, "message");
  auto sound = harness.create(kAlice, "sound");
  for (int i = 0; i < 600; ++i) harness.append(sound, "message");
  auto deleted = harness.create(bob, "deleted");
  harness.append(deleted, "stays for a while");
  run_task(harness.store().delete_conversation(bob, deleted.id, {}));
  harness.close();
  damage(harness, "conversations", keys::conversation(kAlice, damaged.id));
  damage(harness, "derived", keys::idempotency(kAlice, "key"));
  harness.open();
  auto& erasures = dynamic_cast<Erasures&>(harness.store());
  run_task(erasures.begin_erasure(kAlice));
  auto erasure = run_task(erasures.unfinished_erasures()).at(0);
  auto left = Erasures::Left::kMore;
  for (int i = 0; i < 20 && left == Erasures::Left::kMore; ++i) {
    left = run_task(erasures.erase_some(erasure));
  }
  EXPECT_EQ(left, Erasures::Left::kNothing);
  run_task(erasures.end_erasure(erasure, run_task(erasures.seal_erasure(erasure))));
  harness.close();
  for (const auto& id : {damaged.id, sound.id}) {
    for (const char* family : {"conversations", "messages", "derived"}) {
      EXPECT_EQ(count_of(harness, family, id.raw()), 0U) << family;
    }
  }
  EXPECT_EQ(count_of(harness, "messages", deleted.id.raw()), 1U);
}

// How far an erasure has come, and was said to have.
struct Erased {
  bool begun = false;
  bool ended = false;
};

void carry_out(Erasures& erasures) {
  for (const auto& erasure : run_task(erasures.unfinished_erasures())) {
    auto left = Erasures::Left::kMore;
    for (int i = 0; i < 20 && left == Erasures::Left::kMore; ++i) {
      left = run_task(erasures.erase_some(erasure));
    }
    ASSERT_EQ(left, Erasures::Left::kNothing);
    run_task(erasures.end_erasure(erasure, run_task(erasures.seal_erasure(erasure))));
  }
}

Erased try_to_erase(Erasures& erasures) {
  Erased erased;
  try {
    run_task(erasures.begin_erasure(kAlice));
    erased.begun = true;
    carry_out(erasures);
    erased.ended = true;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnavailable) << error.detail();
  }
  return erased;
}

// The disk fails at the Nth call of an erasure, for every N, and the power with it.
TEST(Erasing, GoesOnWhereADiskHasFailed) {
  constexpr std::size_t kMessages = 520;  // two pieces
  const UserId bob("bob");
  bool failed = true;
  std::uint64_t call = 0;
  for (; failed && call < 400; call = next_call(call)) {
    SCOPED_TRACE(call);
    FaultyHarness harness;
    harness.open();
    const NewConversation fresh{"with details", std::string(1000, 's'), {}, std::nullopt};
    const IdempotencyKey key{"key", {}, 4'000'000'000};
    auto kept = run_task(harness.store().create_conversation(bob, fresh, key)).conversation;
    harness.append(kept, "message");
    auto erased = run_task(harness.store().create_conversation(kAlice, fresh, key)).conversation;
    for (std::size_t i = 0; i < kMessages; ++i) harness.append(erased, std::string(200, 'm'));
    auto deleted = harness.create(kAlice, "deleted");
    harness.append(deleted, "message");
    run_task(harness.store().delete_conversation(kAlice, deleted.id, {}));
    auto fails_from = harness.files().writes() + call;
    harness.files().fail(FaultyFileSystem::Fault::kIoError, call);
    auto said = try_to_erase(harness.store());
    failed = harness.files().writes() > fails_from;
    harness.files().heal();
    harness.close();
    harness.files().lose_power(nullptr);
    ASSERT_NO_THROW(harness.open());
    // One whose beginning was not acknowledged has begun or has taken nothing.
    auto unfinished = run_task(harness.store().unfinished_erasures());
    if (unfinished.empty() && !said.begun) {
      ASSERT_EQ(harness.messages(erased).size(), kMessages);
      ASSERT_TRUE(try_to_erase(harness.store()).ended);
    }
    ASSERT_TRUE(unfinished.empty() || !said.ended);
    carry_out(harness.store());
    ASSERT_TRUE(run_task(harness.store().unfinished_erasures()).empty());
    ASSERT_EQ(run_task(harness.store().erased_users("")).size(), 1U);
    ASSERT_EQ(harness.messages(kept).size(), 1U);
    ASSERT_TRUE(run_task(harness.store().create_conversation(bob, fresh, key)).replayed);
    ASSERT_EQ(harness.store().stats().conversations, 1U);
    ASSERT_EQ(harness.store().stats().messages, 1U);
    harness.close();
    for (const auto& part :
         {kAlice.value(), std::string(erased.id.raw()), std::string(deleted.id.raw())}) {
      for (const char* family : {"conversations", "messages", "derived"}) {
        ASSERT_EQ(count_of(harness, family, part), 0U) << family;
      }
    }
  }
  EXPECT_GT(call, 6U);
  EXPECT_FALSE(failed);
}

TEST(Removal, GoesOnBesideARecordThatIsDamaged) {
  FaultyHarness harness;
  harness.open();
  std::vector<Conversation> old;
  for (int i = 0; i < 3; ++i) old.push_back(harness.create(kAlice, "old"));
  for (const auto& conversation : old) harness.append(conversation, "message");
  harness.close();
  damage(harness, "conversations", keys::conversation(kAlice, old[0].id));
  harness.clock().advance_ms(100'000);
  harness.options().retention_seconds = 60;
  harness.open();
  harness.store().sweep_now();
  EXPECT_EQ(harness.store().stats().conversations, 1U);
  EXPECT_EQ(harness.store().stats().messages, 1U);
}

TEST(Removal, GoesOnBesideOneThatWasDamagedOnceItWasIndexed) {
  FaultyHarness harness;
  harness.options().retention_seconds = 60;
  harness.open();
  std::vector<Conversation> old;
  for (int i = 0; i < 3; ++i) old.push_back(harness.create(kAlice, "old"));
  harness.close();
  damage(harness, "conversations", keys::conversation(kAlice, old[0].id));
  harness.clock().advance_ms(100'000);
  harness.open();
  harness.store().sweep_now();
  EXPECT_EQ(harness.store().stats().conversations, 1U);
}

// Of a database that is open; nullopt where it changes in the middle of it.
std::optional<std::size_t> idempotency_keys(FaultyHarness& harness) {
  const std::vector<rocksdb::ColumnFamilyDescriptor> families{
      {rocksdb::kDefaultColumnFamilyName, {}}, {"derived", {}}};
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* opened = nullptr;
  auto status =
      rocksdb::DB::OpenForReadOnly({}, harness.options().path, families, &handles, &opened);
  if (!status.ok()) return std::nullopt;
  const std::unique_ptr<rocksdb::DB> db(opened);
  std::size_t count = 0;
  std::unique_ptr<rocksdb::Iterator> at(db->NewIterator({}, handles[1]));
  for (at->Seek(keys::kIdempotencyExpiryPrefix);
       at->Valid() && at->key().starts_with(keys::kIdempotencyExpiryPrefix); at->Next()) {
    ++count;
  }
  at.reset();
  for (auto* handle : handles) db->DestroyColumnFamilyHandle(handle);
  return count;
}

TEST(Removal, OfKeysOfIdempotencyIsNoFasterThanItsRateEither) {
  FaultyHarness harness;
  harness.options().removal_rate = 100;
  harness.options().sweep_interval = milliseconds(50);  // five keys each
  harness.open();
  for (int i = 0; i < 40; ++i) {
    const IdempotencyKey key{std::to_string(i), {}, harness.clock().now_s() + 60};
    run_task(harness.store().create_conversation(kAlice, {"title", "", {}, {}}, key));
  }
  ASSERT_EQ(idempotency_keys(harness), 40U);
  const auto began = steady_clock::now();
  harness.clock().advance_ms(61'000);
  while (idempotency_keys(harness) != 0U) {
    ASSERT_LT(steady_clock::now() - began, std::chrono::seconds(60));
    std::this_thread::sleep_for(milliseconds(5));
  }
  EXPECT_GE(steady_clock::now() - began, milliseconds(7 * 50));
}

// What has expired waits where it cannot be removed.
TEST(Expiry, SaysForHowLongWhatIsToGoHasWaited) {
  FaultyHarness harness;
  harness.options().retention_seconds = 60;
  harness.open();
  for (int i = 0; i < 3; ++i) {
    harness.create(kAlice, "title");
    harness.clock().advance_ms(10'000);
  }
  const auto lag_s = [&harness] {
    const auto text = harness.metrics().render();
    const std::string name = "\ncolloquy_store_expiry_lag_seconds ";
    return std::stod(text.substr(text.find(name) + name.size()));
  };
  harness.store().sweep_now();
  EXPECT_EQ(lag_s(), 0);
  harness.clock().advance_ms(50'000);  // the first has expired 20 s ago, the second 10 s
  harness.files().fail(FaultyFileSystem::Fault::kIoError, 0);
  harness.store().sweep_now();
  EXPECT_EQ(lag_s(), 20);
  harness.clock().advance_ms(5'000);
  harness.store().sweep_now();
  EXPECT_EQ(harness.store().stats().conversations, 3U);
  harness.files().heal();
  harness.close();
  harness.open();
  harness.store().sweep_now();
  EXPECT_EQ(lag_s(), 0);
  EXPECT_EQ(harness.store().stats().conversations, 0U);
}

TEST(Expiry, DoesNotComeBackWithTheClock) {
  FaultyHarness harness;
  harness.options().retention_seconds = 60;
  harness.open();
  auto conversation = harness.create(kAlice, "title");
  harness.clock().advance_ms(61'000);
  harness.create(kAlice, "another");
  harness.clock().advance_ms(-30'000);
  EXPECT_FALSE(run_task(harness.store().get_conversation(kAlice, conversation.id)));
}

}  // namespace
}  // namespace colloquy::store
