// A store, a backup of it, and what the store held at each moment, for tests.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "backup/restore.h"
#include "backup/shipper.h"
#include "backup/verify.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/testing/run_task.h"
#include "store/rocksdb/backup_source.h"
#include "store/rocksdb/rocksdb_store.h"
#include "store/testing/temporary_folder.h"
#include "telemetry/metrics.h"

namespace colloquy::backup {

// All that a reader can see.
struct Held {
  struct One {
    store::Conversation conversation;
    std::vector<store::Message> messages;
    bool operator==(const One&) const = default;
  };
  std::map<std::string, std::vector<One>> users;
  bool operator==(const Held&) const = default;
};

inline const std::vector<UserId>& harness_users() {
  static const std::vector<UserId> users{UserId("alice"), UserId("bob")};
  return users;
}

inline std::vector<store::Message> messages_of(store::Store& store,
                                               const store::Conversation& conversation) {
  std::vector<store::Message> all;
  store::MessageRange range;
  range.after = MessageId();
  range.all_branches = true;
  for (bool more = true; more;) {
    auto page = run_task(store.list_messages(conversation.user_id, conversation.id, range));
    all.insert(all.end(), page.messages.begin(), page.messages.end());
    more = page.more;
    if (!all.empty()) range.after = all.back().id;
  }
  return all;
}

inline Held held_by(store::Store& store) {
  Held held;
  for (const auto& user : harness_users()) {
    auto& conversations = held.users[user.value()];
    std::optional<ConversationId> after;
    do {
      auto page = run_task(store.list_conversations(user, 100, after));
      for (auto& conversation : page.conversations) {
        auto messages = messages_of(store, conversation);
        conversations.push_back({std::move(conversation), std::move(messages)});
      }
      after = page.next;
    } while (after);
  }
  return held;
}

class BackupHarness {
 public:
  BackupHarness() : own_(std::make_unique<store::TemporaryFolder>()), root_(own_->path()) {
    set_up();
  }
  // On a folder of somebody else's, which may have been used before.
  explicit BackupHarness(std::filesystem::path root) : root_(std::move(root)) { set_up(); }
  void set_up() {
    store_options_.path = folder() / "data/store";
    std::filesystem::create_directories(folder() / "data");
    store_options_.min_free_disk_bytes = 0;
    store_options_.sweep_interval = std::chrono::hours(1);
    store_options_.keep_log = true;
    shipper_options_.target = folder() / "target";
    shipper_options_.owns_log = true;
    shipper_options_.makes_target = true;
  }
  ~BackupHarness() { close(); }

  void open() {
    store_ = store::RocksDbStore::open(store_options_, clock_, ids_, metrics_);
    begin_backup();
  }
  void begin_backup(store::TargetFiles files = store::TargetFiles()) {
    shipper_.reset();
    source_ = store_->backup_source();
    shipper_ = std::make_unique<Shipper>(*source_, std::move(files), clock_, ids_, shipper_metrics_,
                                         shipper_options_);
  }
  void close() {
    shipper_.reset();
    source_.reset();
    store_.reset();
  }
  void round() { shipper_->round(); }
  void base() { shipper_->round_with_base(nullptr); }

  // A few random writes, and then the snapshot of what there is.
  void write(int count = 6) {
    for (int i = 0; i < count; ++i) write_once();
    note();
  }
  // What is held at this moment, and the next one is a second later.
  void note() {
    at_[clock_.now_ms()] = held_by(*store_);
    clock_.advance_ms(1'000);
  }
  void write_once() {
    const auto& user = harness_users()[random_() % harness_users().size()];
    auto listed = run_task(store_->list_conversations(user, 20, std::nullopt)).conversations;
    if (listed.empty() || random_() % 5 == 0) {
      create(user, "title " + std::to_string(random_() % 1000));
      return;
    }
    const auto& one = listed[random_() % listed.size()];
    switch (random_() % 8) {
      case 0:
        run_task(store_->delete_conversation(user, one.id, std::nullopt));
        return;
      case 1: {
        store::ConversationPatch patch;
        patch.title = "renamed " + std::to_string(random_() % 1000);
        run_task(store_->update_conversation(user, one.id, patch, std::nullopt));
        return;
      }
      case 2: {
        auto messages = messages_of(*store_, one);
        if (messages.empty()) break;
        const auto& message = messages[random_() % messages.size()];
        run_task(store_->delete_message(user, one.id, message.id));
        return;
      }
      case 3:
        turn(user, one.id);
        return;
      default:
        break;
    }
    append(one, std::string(random_() % 300, 'x'));
  }
  store::Conversation create(const UserId& user, const std::string& title,
                             std::optional<std::int64_t> ttl_seconds = std::nullopt) {
    store::NewConversation fresh{title, "", {}, ttl_seconds};
    return run_task(store_->create_conversation(user, fresh, std::nullopt)).conversation;
  }
  void append(const store::Conversation& to, const std::string& content) {
    store::NewMessage message{store::Role::kUser, content, {}, ""};
    run_task(store_->append_message(to.user_id, to.id, message, std::nullopt));
  }
  void turn(const UserId& user, const ConversationId& id) {
    store::NewTurn turn;
    turn.conversation_id = id;
    turn.prompt.content = "a question";
    turn.lease_until_s = clock_.now_s() + 600;
    auto started = run_task(store_->start_turn(user, turn, std::nullopt));
    auto reply = started.reply;
    reply.status = store::MessageStatus::kComplete;
    reply.content = "an answer";
    run_task(store_->finish_turn(user, id, reply));
  }

  RestoreRequest request(std::optional<std::int64_t> at_ms) {
    RestoreRequest request;
    request.target = shipper_options_.target;
    request.data = folder() / ("restored-" + std::to_string(restored_++));
    request.at_ms = at_ms;
    return request;
  }
  Restored restore_to(const RestoreRequest& wanted) {
    return restore(wanted, store::TargetFiles(), clock_, ids_);
  }
  // What a server on that data folder would show.
  Held held_in(const std::string& data) {
    require_restored(data);
    auto options = store_options_;
    options.path = data + "/store";
    telemetry::Metrics metrics;
    auto opened = store::RocksDbStore::open(options, clock_, ids_, metrics);
    return held_by(*opened);
  }
  std::vector<Verified> verified() {
    return verify(store::TargetFiles(), shipper_options_.target, std::nullopt, nullptr);
  }

  // What the store held, by the time at which it was looked at.
  const std::map<std::int64_t, Held>& held_at() const { return at_; }
  // The last of them that is not later.
  const Held& held_before(std::int64_t at_ms) const {
    auto later = at_.upper_bound(at_ms);
    return std::prev(later)->second;
  }

  std::vector<std::string> segment_files() {
    std::vector<std::string> files;
    auto log = lineage_path() + "/log";
    for (const auto& entry : std::filesystem::directory_iterator(log)) {
      files.push_back(entry.path().string());
    }
    std::sort(files.begin(), files.end());
    return files;
  }
  std::string lineage_path() {
    auto all = lineages(store::TargetFiles(), shipper_options_.target);
    return shipper_options_.target + "/" + lineage_name(all.front());
  }

  ManualClock& clock() { return clock_; }
  RandomIdSource& ids() { return ids_; }
  telemetry::Metrics& metrics() { return metrics_; }
  store::RocksDbStore& store() { return *store_; }
  store::BackupSource& source() { return *source_; }
  Shipper& shipper() { return *shipper_; }
  store::RocksDbOptions& store_options() { return store_options_; }
  ShipperOptions& shipper_options() { return shipper_options_; }
  const std::filesystem::path& folder() const { return root_; }

 private:
  std::unique_ptr<store::TemporaryFolder> own_;
  std::filesystem::path root_;
  ManualClock clock_{1'700'000'000'000};
  RandomIdSource ids_;
  telemetry::Metrics metrics_;
  ShipperMetrics shipper_metrics_{metrics_};
  std::mt19937 random_{7};
  store::RocksDbOptions store_options_;
  ShipperOptions shipper_options_;
  std::unique_ptr<store::RocksDbStore> store_;
  std::unique_ptr<store::BackupSource> source_;
  std::unique_ptr<Shipper> shipper_;
  std::map<std::int64_t, Held> at_;
  int restored_ = 0;
};

inline std::string contents_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

inline void write_contents(const std::string& path, const std::string& contents) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << contents;
}

}  // namespace colloquy::backup
