// A folder with a RocksDbStore in it whose disk can fail, for tests.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/testing/run_task.h"
#include "store/rocksdb/rocksdb_store.h"
#include "store/testing/faulty_file_system.h"
#include "store/testing/temporary_folder.h"
#include "telemetry/metrics.h"

namespace colloquy::store {

class FaultyHarness {
 public:
  FaultyHarness() {
    options_.path = folder_ / "store";
    options_.min_free_disk_bytes = 0;
    options_.sweep_interval = std::chrono::hours(1);  // only when a test asks
    options_.write_buffer_bytes =
        64 * limits::kKiB;  // so that tables and manifests are written too
    options_.file_system = files_;
  }

  void open() { store_ = RocksDbStore::open(options_, clock_, ids_, metrics_); }
  void close() { store_.reset(); }
  RocksDbStore& store() { return *store_; }
  FaultyFileSystem& files() { return *files_; }
  ManualClock& clock() { return clock_; }
  telemetry::Metrics& metrics() { return metrics_; }
  RocksDbOptions& options() { return options_; }
  const TemporaryFolder& folder() const { return folder_; }

  Conversation create(const UserId& user, const std::string& title) {
    NewConversation fresh{title, "", {}, std::nullopt};
    return run_task(store().create_conversation(user, fresh, std::nullopt)).conversation;
  }
  Message append(const Conversation& conversation, const std::string& content) {
    NewMessage message{Role::kUser, content, {}, ""};
    return run_task(
               store().append_message(conversation.user_id, conversation.id, message, std::nullopt))
        .message;
  }
  std::vector<Message> messages(const Conversation& conversation) {
    std::vector<Message> all;
    MessageRange range;
    range.after = MessageId();
    for (bool more = true; more; range.after = all.empty() ? MessageId() : all.back().id) {
      auto page = run_task(store().list_messages(conversation.user_id, conversation.id, range));
      all.insert(all.end(), page.messages.begin(), page.messages.end());
      more = page.more;
    }
    return all;
  }

 private:
  TemporaryFolder folder_;
  std::shared_ptr<FaultyFileSystem> files_ = std::make_shared<FaultyFileSystem>();
  RocksDbOptions options_;
  ManualClock clock_{1'700'000'000'000};
  RandomIdSource ids_;
  telemetry::Metrics metrics_;
  std::unique_ptr<RocksDbStore> store_;  // last: closes before what it uses goes
};

}  // namespace colloquy::store
