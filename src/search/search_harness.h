// A store, an index of it and searches in it, for tests.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/limits.h"
#include "base/testing/run_task.h"
#include "search/indexed_search.h"
#include "store/rocksdb/rocksdb_harness.h"
#include "store/testing/temporary_folder.h"

namespace colloquy::search {

class SearchHarness : public testing::Test {
 protected:
  SearchHarness() {
    harness_.options().keep_changes = true;
    open();
  }
  ~SearchHarness() override { close(); }

  void open() {
    store_ = harness_.open_rocksdb();
    IndexOptions options;
    options.folder = folder_ / "search";
    options.min_free_disk_bytes = kFloor;
    options.free_disk_bytes = [this] {
      auto free = free_bytes_.load();
      if (looks_ > 0 && --looks_ == 0) free_bytes_ = kLow;
      return free;
    };
    options.most_unfed = most_unfed_;
    options.time_limit = std::chrono::minutes(1);  // a slow machine's searches find everything too
    search_ = std::make_unique<IndexedSearch>(options, *store_, store_->change_feed(),
                                              harness_.clock(), harness_.metrics());
  }
  void close() {
    search_.reset();
    store_.reset();
  }

  store::Conversation create(const std::string& title, const UserId& user,
                             std::optional<std::int64_t> ttl_seconds = std::nullopt) {
    harness_.clock().advance_ms(1000);
    store::NewConversation fresh{title, "", {}, ttl_seconds};
    return run_task(store_->create_conversation(user, fresh, std::nullopt)).conversation;
  }
  store::Message append(const store::Conversation& conversation, const std::string& content) {
    harness_.clock().advance_ms(1000);
    store::NewMessage message{store::Role::kUser, content, {}, ""};
    return run_task(
               store_->append_message(conversation.user_id, conversation.id, message, std::nullopt))
        .message;
  }
  Page page(const std::string& text, const UserId& user, std::size_t limit = 20,
            std::optional<std::string> cursor = std::nullopt) {
    Request request;
    request.user = user;
    request.text = text;
    request.limit = limit;
    request.cursor = std::move(cursor);
    return run_task(search_->find(std::move(request)));
  }
  // Once the index has everything.
  std::vector<Hit> find(const std::string& text, const UserId& user) {
    caught_up();
    return page(text, user).hits;
  }
  // A title of a user of its own is found when all that came before it can be.
  void caught_up() {
    const UserId witness("witness");
    const auto word = "caughtup" + std::to_string(++witnesses_);
    create(word, witness);
    auto give_up = std::chrono::steady_clock::now() + std::chrono::minutes(4);
    for (;;) {
      auto found = page(word, witness);
      if (found.complete && found.hits.size() == 1) return;
      ASSERT_LT(std::chrono::steady_clock::now(), give_up) << "the index does not catch up";
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  std::vector<std::filesystem::path> files() const {
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::directory_iterator(folder_ / "search")) {
      if (entry.path().extension() == ".db") found.push_back(entry.path());
    }
    return found;
  }

  const UserId ann_{"ann"};
  const UserId ben_{"ben"};
  store::RocksDbHarness harness_;
  store::TemporaryFolder folder_;
  std::unique_ptr<store::RocksDbStore> store_;
  std::unique_ptr<IndexedSearch> search_;
  static constexpr std::uint64_t kFloor = 512 * limits::kMiB;
  static constexpr std::uint64_t kAmple = std::uint64_t{64} * 1024 * limits::kMiB;
  std::atomic<std::uint64_t> free_bytes_{kAmple};
  static constexpr std::uint64_t kLow = kFloor + Feeder::kMarginBytes / 2;
  std::atomic<int> looks_{0};  // at free room: after so many there is little
  std::uint64_t most_unfed_ = 20'000'000;
  int witnesses_ = 0;
};

}  // namespace colloquy::search
