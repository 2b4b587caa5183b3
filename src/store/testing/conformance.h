// What every store must do, as a GoogleTest suite. A store's own test names itself:
//
//   INSTANTIATE_TEST_SUITE_P(RocksDb, StoreConformance, testing::Values(StoreFactory{
//       "Folder", [] { return std::make_unique<RocksDbHarness>(); }}), store_factory_name);
//
// and links colloquy_store_testing.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/testing/run_task.h"
#include "store/erasure.h"
#include "store/store.h"

namespace colloquy::store {

inline ContextSettings newest(std::size_t messages) {
  return {static_cast<std::uint32_t>(messages), {}, {}};
}

// One place where a store keeps its data.
class StoreHarness {
 public:
  virtual ~StoreHarness() = default;
  // Opens a store on the data that the one before it left. At most one is open at a time.
  virtual std::unique_ptr<Store> open() = 0;
  // Of the stores that it opens from now on.
  virtual void retain(std::optional<std::int64_t> seconds) = 0;
  // The clock of every store that it opens.
  virtual ManualClock& clock() = 0;
  // Carries out now what the store does in the background.
  virtual void settle(Store& store) = 0;
  // Whether a conversation's count and time show a turn from its start; else from its end.
  virtual bool counts_at_once() const { return true; }
  // What it holds right now, where stats() lags behind.
  virtual StoreStats count(Store& store) { return store.stats(); }
  // Who erases the users of the store that is open.
  virtual Erasures& erasures(Store& store) { return dynamic_cast<Erasures&>(store); }
};

struct StoreFactory {
  std::string name;
  std::function<std::unique_ptr<StoreHarness>()> make;
};
inline void PrintTo(const StoreFactory& factory, std::ostream* out) { *out << factory.name; }
inline std::string store_factory_name(const testing::TestParamInfo<StoreFactory>& info) {
  return info.param.name;
}

// The code of the Error that the task throws; nullopt when it throws none.
template <class T>
std::optional<ErrorCode> error_of(Task<T> task) {
  try {
    static_cast<void>(run_task(std::move(task)));
    return std::nullopt;
  } catch (const Error& error) {
    return error.code();
  }
}
std::optional<ErrorCode> error_of(Task<> task);

class StoreConformance : public testing::TestWithParam<StoreFactory> {
 protected:
  void SetUp() override;
  void reopen();
  void reopen_retaining(std::optional<std::int64_t> seconds);
  Store& store() { return *store_; }
  ManualClock& clock() { return harness_->clock(); }
  void settle() { harness_->settle(*store_); }
  StoreStats stats() { return harness_->count(*store_); }
  Erasures& erasures() { return harness_->erasures(*store_); }
  bool counts_at_once() const { return harness_->counts_at_once(); }
  // Without what a store may owe while a turn runs.
  Conversation known_at_once(Conversation conversation) const;
  void advance_s(std::int64_t seconds) { clock().advance_ms(seconds * 1000); }

  // Shorthands for what most tests do.
  Conversation create(const UserId& user, const std::string& title = "title",
                      std::optional<std::int64_t> ttl_seconds = std::nullopt);
  Message append(const Conversation& conversation, const std::string& content);
  StartedTurn start(const Conversation& conversation, const std::string& prompt,
                    std::int64_t lease_seconds = 600);
  Conversation finish(const StartedTurn& turn, const std::string& answer);
  bool save_partial(const StartedTurn& turn, const std::string& so_far);
  std::optional<Conversation> get(const Conversation& conversation);
  std::optional<Message> get(const Conversation& conversation, const MessageId& id);
  MessagePage list(const Conversation& conversation, MessageRange range = {});
  // The contents of all messages, oldest first.
  std::vector<std::string> contents(const Conversation& conversation);
  // Of branches (conformance_branches.cc).
  Message append_at(const Conversation& conversation, const TreePlace& place,
                    const std::string& content, std::optional<IdempotencyKey> key = {});
  StartedTurn answer_again(const Conversation& conversation, const Message& prompt,
                           std::optional<IdempotencyKey> key = {});
  Conversation activate(const Conversation& conversation, const Message& message);
  std::vector<Message> all_branches(const Conversation& conversation);
  // Every message as its content, "<" and its parent's.
  std::vector<std::string> tree(const Conversation& conversation);
  // What is read page by page, oldest first.
  std::vector<Message> in_pages(const Conversation& conversation, std::size_t limit, bool forward,
                                bool all_branches);
  void expect_pages_to_agree(const Conversation& conversation);
  IdempotencyKey key(const std::string& name, std::uint8_t fingerprint = 1);

  const UserId alice_{"alice"};
  const UserId bob_{"bob"};
  // Ids that nothing has.
  const ConversationId no_conversation_{Uuid::make_v7(1, 2, 3)};
  const MessageId no_message_{Uuid::make_v7(1, 2, 3)};

 private:
  std::unique_ptr<StoreHarness> harness_;
  std::unique_ptr<Store> store_;
};

}  // namespace colloquy::store
