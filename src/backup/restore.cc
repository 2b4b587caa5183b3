#include "backup/restore.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <system_error>
#include <utility>

#include "backup/choose_lineage.h"
#include "backup/folder_hold.h"
#include "backup/log_reader.h"
#include "backup/moment.h"
#include "base/error.h"
#include "base/file_descriptor.h"
#include "store/rocksdb/base_engine.h"
#include "store/rocksdb/restored_store.h"

namespace colloquy::backup {
namespace {

namespace fs = std::filesystem;

constexpr const char* kUnfinished = "restoring";
constexpr const char* kStore = "store";

// What belongs into a data folder and is in no backup: it may have been put there before a restore
// that was killed is run again.
bool is_of_no_backup(const std::string& name) { return name == "token.key" || name == "files"; }

void try_files(const std::string& doing, const std::function<void()>& work) {
  try {
    work();
  } catch (const fs::filesystem_error& error) {
    throw unavailable("The folder cannot be written.", doing + ": " + error.what());
  }
}

// Makes DATA/restoring, empty.
fs::path prepare_folder(const std::string& data, std::optional<FolderHold>& hold) {
  auto folder = fs::path(data) / kUnfinished;
  try_files("preparing " + data, [&] {
    fs::create_directories(data);
    hold.emplace(data, "Another restore into " + data + " goes on.");
    const bool again = fs::is_directory(fs::symlink_status(folder));
    for (const auto& entry : fs::directory_iterator(data)) {
      const auto name = entry.path().filename().string();
      if (again && (name == kUnfinished || is_of_no_backup(name))) continue;
      throw Error(ErrorCode::kInvalid,
                  "The folder " + data + " is not empty: it has " + name +
                      ". Restore into a folder of its own, or move that away.");
    }
    fs::remove_all(folder);
    fs::create_directory(folder);
  });
  sync_folder(data);
  return folder;
}

void put_in_place(const std::string& data) {
  auto from = fs::path(data) / kUnfinished;
  try_files("finishing " + data, [&] { fs::rename(from, fs::path(data) / kStore); });
  if (auto error = sync_folder(data)) {
    throw unavailable("The folder cannot be written.", data + ": " + error.message());
  }
  sync_folder(fs::absolute(data).parent_path());
}

class Restore {
 public:
  Restore(const RestoreRequest& request, const store::TargetFiles& files, const Clock& clock,
          IdSource& ids)
      : request_(request),
        files_(files),
        clock_(clock),
        ids_(ids),
        folder_(files, request.target,
                choose_lineage(files, request.target, request.lineage, request.at_ms)) {}

  Restored run() {
    auto bases = folder_.bases();
    restored_.lineage = folder_.lineage();
    restored_.caught_up_ms = folder_.caught_up().time_ms;
    restored_.problems = std::move(bases.damaged);
    std::erase_if(bases.records, [this](const auto& base) { return base.time_ms > at_ms(); });
    if (bases.records.empty()) {
      throw Error(ErrorCode::kInvalid, "The backup has no whole base of that time or before it.");
    }
    auto work = prepare_folder(request_.data, hold_).string();
    {
      auto begun = restore_newest(bases.records, work);
      replay(begun.base, *begun.store);
    }
    put_in_place(request_.data);
    return std::move(restored_);
  }

 private:
  struct Begun {
    BaseRecord base;
    std::unique_ptr<store::RestoredStore> store;
  };

  std::int64_t at_ms() const {
    return request_.at_ms.value_or(std::numeric_limits<std::int64_t>::max());
  }
  void tell(const std::string& phase, std::uint64_t done, std::uint64_t expected) const {
    if (request_.progress) request_.progress(phase, done, expected);
  }

  // The newest base that is whole; an older one has the same after more of the log.
  Begun restore_newest(const std::vector<BaseRecord>& bases, const std::string& work) {
    store::BaseEngine engine(files_, folder_.bases_path(), store::BaseEngine::Use::kRead,
                             request_.data_files);
    for (auto base = bases.rbegin(); base != bases.rend(); ++base) {
      if (!copy(engine, *base, work)) continue;
      auto store = open(work);
      if (!store || !is_as_recorded(*base, *store)) continue;
      // A base's record says less than the base does where a clock went back meanwhile.
      if (store->newest_commit_ms() > at_ms()) continue;
      return {*base, std::move(store)};
    }
    if (!restored_.problems.empty()) {
      throw Error(ErrorCode::kInvalid,
                  "No base of the backup is whole: " + restored_.problems.back() + ".");
    }
    throw Error(ErrorCode::kInvalid, "The backup has no whole base of that time or before it.");
  }

  bool copy(const store::BaseEngine& engine, const BaseRecord& base, const std::string& work) {
    try {
      tell("copying the base", 0, base.bytes);
      engine.restore(base.id, work);
      tell("copying the base", base.bytes, base.bytes);
      return true;
    } catch (const Error& error) {
      if (!folder_.has(base)) return false;  // too old, and removed by a server meanwhile
      bool damaged = error.code() == ErrorCode::kInternal;
      // What fails may be the folder that is restored into.
      bool unreadable = error.code() == ErrorCode::kUnavailable && !can_be_read(engine, base);
      if (!damaged && !unreadable) throw;
      restored_.problems.push_back(error.detail());
      return false;
    }
  }

  // What verify asks too. Of a base of another history the log would be applied to it in vain.
  bool is_as_recorded(const BaseRecord& base, const store::RestoredStore& store) {
    if (backup::is_as_recorded(base, store.newest_sequence(), store.newest_commit_ms()))
      return true;
    restored_.problems.push_back(other_commits(base, folder_));
    return false;
  }

  static bool can_be_read(const store::BaseEngine& engine, const BaseRecord& base) {
    try {
      engine.verify(base.id);
      return true;
    } catch (const Error&) {
      return false;
    }
  }

  // Null for one that is damaged.
  std::unique_ptr<store::RestoredStore> open(const std::string& work) {
    try {
      return std::make_unique<store::RestoredStore>(work, clock_, ids_, request_.data_files);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kInternal) throw;
      restored_.problems.push_back(error.detail());
      return nullptr;
    }
  }

  void replay(const BaseRecord& base, store::RestoredStore& store) {
    const auto held = store.newest_sequence();
    LogReader log(folder_, held + 1, LogReader::before_log_of(base));
    const auto end = expected_end();
    bool done = false;
    bool good = true;
    while (!done) {
      auto commits = log.next();
      if (!commits) break;
      for (const auto& commit : *commits) {
        done = commit.time_ms > at_ms();
        // One that holds the base's last row holds nothing else that is missing.
        if (!done && commit.sequence > held) done = !(good = apply(store, commit));
        if (done) break;
      }
      tell("applying the log", std::min(log.next_sequence(), end) - base.from_sequence,
           end - std::min(end, base.from_sequence));
    }
    tell("applying the log", 1, 1);
    for (const auto& problem : log.problems()) restored_.problems.push_back(problem);
    restored_.gaps = log.gaps();
    if (!good) restored_.complete = false;
    restored_.last_commit_ms = store.newest_commit_ms();
    // All that was committed before a base was begun is in it.
    const bool in_base = request_.at_ms && *request_.at_ms < base.taken_ms;
    if (!done && !in_base) note_what_is_missing(log, base);
    finish(store);
  }

  // False for one that cannot be.
  bool apply(store::RestoredStore& store, const store::Commit& commit) {
    try {
      store::require_applicable(commit);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kInternal) throw;
      restored_.problems.push_back("commit " + std::to_string(commit.sequence) + " of " +
                                   to_text_utc(commit.time_ms) + ": " + error.detail());
      return false;
    }
    store.apply(commit);
    return true;
  }

  void finish(store::RestoredStore& store) {
    store::RestoredStore::Amendments amendments;
    amendments.leave_out = request_.leave_out;
    amendments.erased = request_.erased.users();
    if (!request_.erased.empty()) {
      amendments.leave_out = [this, as_of_ms = store.newest_commit_ms()](const UserId& user) {
        return (request_.leave_out && request_.leave_out(user)) ||
               request_.erased.erased_after(user, as_of_ms);
      };
    }
    if (request_.keep_expired) {
      auto then_ms = request_.at_ms.value_or(store.newest_commit_ms());
      amendments.keep_expired_since_s = then_ms / 1000;
      amendments.retention_seconds = request_.retention_seconds;
    }
    if (request_.titles_of) restored_.titles = store.titles_of(*request_.titles_of);
    auto contents = store.finish(amendments);
    restored_.last_commit_ms = contents.last_commit_ms;
    restored_.conversations = contents.conversations;
    restored_.messages = contents.messages;
  }

  void note_what_is_missing(const LogReader& log, const BaseRecord& used) {
    if (!log.ended()) {
      restored_.complete = false;
      return;
    }
    // A base that knows of more than the log has: it was given up between the two.
    for (const auto& base : folder_.bases().records) {
      if (base.file == used.file || base.from_sequence < log.next_sequence()) continue;
      restored_.complete = false;
      restored_.gaps.push_back(missing_commits(log.next_sequence(), base.from_sequence, folder_) +
                               ", and base " + std::to_string(base.id) + " of " +
                               to_text_utc(base.time_ms) + " is later than what was asked for");
      return;
    }
    note_what_was_never_shipped();
  }

  // The target ends before the moment that was asked for.
  void note_what_was_never_shipped() {
    auto& caught_up_ms = restored_.caught_up_ms;
    caught_up_ms = std::max(caught_up_ms, restored_.last_commit_ms);
    if (!request_.at_ms || *request_.at_ms <= caught_up_ms) return;
    restored_.complete = false;
    restored_.never_shipped = true;
  }

  std::uint64_t expected_end() const {
    std::uint64_t end = 0;
    for (const auto& name : folder_.segments()) end = std::max(end, name.last_sequence + 1);
    return end;
  }

  const RestoreRequest& request_;
  const store::TargetFiles& files_;
  const Clock& clock_;
  IdSource& ids_;
  LineageFolder folder_;
  std::optional<FolderHold> hold_;  // of the data folder
  Restored restored_;
};

}  // namespace

Restored restore(const RestoreRequest& request, const store::TargetFiles& target_files,
                 const Clock& clock, IdSource& ids) {
  return Restore(request, target_files, clock, ids).run();
}

void require_restored(const std::string& data) {
  std::error_code ignored;
  if (!fs::exists(fs::path(data) / kUnfinished, ignored)) return;
  throw Error(ErrorCode::kInvalid,
              "A restore into " + data + " has not ended: run it again, or empty the folder.");
}

}  // namespace colloquy::backup
