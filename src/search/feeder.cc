#include "search/feeder.h"

#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/limits.h"
#include "search/index_files.h"
#include "telemetry/log.h"

namespace colloquy::search {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;

constexpr auto kLookInterval = milliseconds(200);
constexpr auto kPendingInterval = std::chrono::seconds(30);
constexpr auto kForgetInterval = std::chrono::seconds(2);
// So that what fails is not begun again and again.
constexpr auto kUnlistedPause = std::chrono::seconds(30);
constexpr auto kLostTrackPause = std::chrono::minutes(5);
constexpr auto kFirstPause = milliseconds(500);
constexpr auto kLongestPause = milliseconds(30'000);
constexpr std::size_t kPieceChanges = 1000;
// Behind what serves users, as far as the system lets it be.
constexpr int kNiceness = 10;

bool within(Steady::time_point since, Steady::duration time) {
  return since != Steady::time_point() && Steady::now() < since + time;
}

std::uint64_t free_bytes_of(const std::string& folder) {
  std::error_code unknown;
  auto space = fs::space(folder, unknown);
  return unknown ? std::numeric_limits<std::uint64_t>::max() : space.available;
}

IndexOptions completed(IndexOptions options) {
  if (!options.free_disk_bytes) {
    options.free_disk_bytes = [folder = options.folder] { return free_bytes_of(folder); };
  }
  return options;
}

}  // namespace

Feeder::Feeder(IndexOptions options, std::unique_ptr<store::ChangeFeed> feed,
               telemetry::Metrics& metrics, std::function<void()> replaced)
    : options_(completed(std::move(options))),
      feed_(std::move(feed)),
      replaced_(std::move(replaced)),
      documents_gauge_(metrics.gauge("colloquy_search_documents",
                                     "Titles and messages in the index of search.")),
      rebuilds_(
          metrics.counter("colloquy_search_rebuilds_total", "Times the index was begun anew.")),
      changes_(metrics.counter("colloquy_search_changes_total", "Changes fed to the index.")),
      progress_(std::make_shared<IndexProgress>(metrics)),
      fill_(*feed_, stopping_, metrics) {
  metrics.before_render([progress = progress_] { progress->show(); });
  thread_ = std::thread([this] { run(); });
}

Feeder::~Feeder() {
  {
    std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

IndexView Feeder::view() const {
  std::scoped_lock lock(mutex_);
  return {path_, progress_->complete()};
}

void Feeder::rebuild() {
  {
    std::scoped_lock lock(mutex_);
    rebuild_wanted_ = true;
  }
  wake_.notify_all();
}

void Feeder::report_damage(const std::string& path, const std::string& why) {
  {
    std::scoped_lock lock(mutex_);
    damaged_path_ = path;
    damage_ = why;
  }
  wake_.notify_all();
}

void Feeder::pause(milliseconds for_so_long) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, for_so_long,
                 [this] { return stopping() || rebuild_wanted_ || !damaged_path_.empty(); });
}

void Feeder::run() {
  // Linux gives a thread a niceness of its own.
  setpriority(PRIO_PROCESS, 0, kNiceness);
  auto failure_pause = kFirstPause;
  while (!stopping()) {
    std::string trouble;
    try {
      bool busy = round();
      failure_pause = kFirstPause;
      if (!busy) pause(kLookInterval);
      continue;
    } catch (const Stopped&) {
      return;
    } catch (const Error& error) {
      trouble = error.message() + " " + error.detail();
    } catch (const std::exception& error) {
      trouble = error.what();
    }
    telemetry::log_warning("search.feeding_failed", {{"detail", trouble}});
    recover();
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, failure_pause, [this] { return stopping(); });
    failure_pause = std::min(failure_pause * 2, milliseconds(kLongestPause));
  }
}

// After a round that failed, which may be the disk's fault or the store's and says nothing of the
// files.
void Feeder::recover() {
  fill_.restart();
  try {
    for (auto* index : indexes()) index->roll_back();
    if (opened_) lose_track_if_far_behind();
    publish();
  } catch (const std::exception& error) {
    telemetry::log_warning("search.feeding_failed", {{"detail", error.what()}});
    opened_ = false;  // what stands in the files is looked at again
  }
}

bool Feeder::round() {
  if (!opened_) open_indexes();
  take_requests();
  check_in_place();
  if (!look_at_room()) {
    lose_track_if_far_behind();
    // Forgetting makes room, so it may take a little first.
    if (forgets_users()) {
      feed_changes();
      forget_users();
    }
    forget_fed();
    publish();
    return false;
  }
  bool needed = !active_ || !follows(*active_);
  if (needed && !building_ && Steady::now() >= not_before_) begin_building("there is none");
  const bool forgets = forgets_users();
  bool busy = feed_changes();
  forget_fed();
  if (forgets) forget_users();
  if (building_) busy = build_piece() || busy;
  look_at_pending();
  publish();
  return busy;
}

bool Feeder::forget(const UserId& user) {
  std::scoped_lock lock(mutex_);
  auto [entry, is_new] = forgetting_.try_emplace(user);
  if (is_new || !entry->second.done) return false;
  forgetting_.erase(entry);
  return true;
}

// Whether there are any; to be asked before changes are fed.
bool Feeder::forgets_users() {
  std::vector<UserId> fresh;
  bool any = false;
  {
    std::scoped_lock lock(mutex_);
    for (const auto& [user, forgetting] : forgetting_) {
      if (!forgetting.after) fresh.push_back(user);
      any = any || !forgetting.done;
    }
  }
  if (fresh.empty()) return any;
  const auto newest = feed_->newest();  // it reads: not under the lock, which event loops take
  std::scoped_lock lock(mutex_);
  for (const auto& user : fresh) forgetting_[user].after = newest;
  return any;
}

// Once all is fed that they did before they were to be forgotten: it would bring them back.
void Feeder::forget_users() {
  const auto up_to = std::max(reached_, fed());
  std::vector<UserId> users;
  {
    std::scoped_lock lock(mutex_);
    for (const auto& [user, forgetting] : forgetting_) {
      if (forgetting.done || !forgetting.after) continue;
      if (!following() || *forgetting.after <= up_to) users.push_back(user);
    }
  }
  if (users.empty()) return;
  for_each_index([&](IndexWriter& index) {
    for (const auto& user : users) index.forget(user);
    index.commit();
  });
  std::scoped_lock lock(mutex_);
  for (const auto& user : users) forgetting_[user].done = true;
}

std::vector<IndexWriter*> Feeder::indexes() const {
  std::vector<IndexWriter*> all;
  if (active_) all.push_back(active_.get());
  if (building_) all.push_back(building_.get());
  return all;
}

template <class Function>
void Feeder::for_each_index(Function function) {
  for (auto* index : {&active_, &building_}) {
    if (!*index) continue;
    try {
      function(**index);
    } catch (const IndexDamaged& damage) {
      drop(*index, damage.what());
    }
  }
}

bool Feeder::follows(const IndexWriter& index) const {
  return index.state().sequence == feed_->sequence();
}

bool Feeder::following() const { return building_ || (active_ && follows(*active_)); }

bool Feeder::feed_changes() {
  auto looked_at = Steady::now();
  auto newest = feed_->newest();
  std::vector<store::ChangeSet> sets;
  if (following()) {
    try {
      sets = feed_->changes(fed(), kPieceChanges);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kInternal) throw;
      lose_track(error.detail());
      return false;
    }
  }
  std::size_t count = 0;
  for (const auto& set : sets) count += set.changes.size();
  if (count >= kPieceChanges && newest > sets.front().number + options_.most_unfed) {
    lose_track("too many changes wait");
    return false;
  }
  if (!sets.empty()) {
    for_each_index([&](IndexWriter& index) {
      for (const auto& set : sets) {
        if (set.number > index.state().fed) fill_.apply(index, set);
      }
      index.commit();
    });
    changes_.Increment(static_cast<double>(count));
  }
  if (count >= kPieceChanges) return true;
  reached_ = std::max(reached_, newest);
  progress_->set_caught_up(looked_at);
  return !sets.empty();
}

void Feeder::lose_track_if_far_behind() {
  auto newest = feed_->newest();
  auto from = std::max(reached_, fed());
  if (newest > from + options_.most_unfed) lose_track("too many changes wait");
}

// The one in use answers until there is another, but follows the store no more.
void Feeder::lose_track(const std::string& why) {
  telemetry::log_error("search.changes_lost", {{"detail", why}});
  auto newest = feed_->newest();
  if (building_) discard(building_);
  if (active_) {
    try {
      active_->state().sequence = Uuid();
      active_->state().fed = newest;
      active_->commit();
    } catch (const std::exception&) {
      discard(active_);
    }
  }
  reached_ = newest;
  forgotten_at_ = {};
  if (within(lost_track_at_, kLostTrackPause)) not_before_ = Steady::now() + kLostTrackPause;
  lost_track_at_ = Steady::now();
}

bool Feeder::build_piece() {
  if (Steady::now() < read_on_at_) return false;
  try {
    fill_.read_piece(*building_);
    if (building_->state().whole) finish_building();
  } catch (const IndexDamaged& damage) {
    drop(building_, damage.what());
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInternal) throw;
    // The store's own tables are damaged. Changes are fed all the same.
    telemetry::log_error("search.store_unreadable", {{"detail", error.detail()}});
    building_->roll_back();
    fill_.restart();
    read_on_at_ = Steady::now() + kUnlistedPause;
    return false;
  }
  return true;
}

void Feeder::finish_building() {
  auto before = std::exchange(active_, std::move(building_));
  telemetry::log_info("search.rebuilt",
                      {{"file", active_->path()}, {"documents", active_->state().documents}});
  publish();  // searches go to the new one from here on
  if (!before) return;
  auto path = before->path();
  before.reset();
  index_files::remove(path);
  replaced_();
}

// Answers that were being made when they were seen, and of whose end no change has told: their
// process has died.
void Feeder::look_at_pending() {
  if (within(pending_looked_at_, kPendingInterval)) return;
  pending_looked_at_ = Steady::now();
  for_each_index([this](IndexWriter& index) {
    auto pending = index.pending();
    for (const auto& key : pending) fill_.apply(index, {key.user, key.conversation, key.message});
    if (!pending.empty()) index.commit();
  });
}

std::uint64_t Feeder::fed() const {
  std::optional<std::uint64_t> least;
  for (const auto* index : indexes()) {
    least = std::min(least.value_or(index->state().fed), index->state().fed);
  }
  return least.value_or(0);
}

void Feeder::forget_fed() {
  // Where nothing follows the changes, the next index begins with what is newest then.
  auto up_to = following() ? fed() : feed_->newest();
  if (up_to == forgotten_ || within(forgotten_at_, kForgetInterval)) return;
  forgotten_at_ = Steady::now();
  while (feed_->forget_some(up_to)) {
    if (stopping()) throw Stopped();
  }
  forgotten_ = up_to;
}

void Feeder::publish() {
  const auto* read = active_ ? active_.get() : building_.get();
  documents_gauge_.Set(read == nullptr ? 0 : static_cast<double>(read->state().documents));
  progress_->set_whole(active_ && follows(*active_));
  std::scoped_lock lock(mutex_);
  path_ = read == nullptr ? std::string() : read->path();
}

}  // namespace colloquy::search
