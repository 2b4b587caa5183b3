// The feeder's files: which there are, are begun, and go.
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "search/feeder.h"
#include "search/index_files.h"
#include "telemetry/log.h"

namespace colloquy::search {
namespace {

namespace fs = std::filesystem;
using Steady = std::chrono::steady_clock;

constexpr auto kReportInterval = std::chrono::seconds(60);
// So that what fails is not begun again and again.
constexpr auto kDamagedPause = std::chrono::seconds(5);
constexpr auto kLowRoomPause = std::chrono::minutes(2);
constexpr int kUnconfirmedReports = 3;

}  // namespace

void Feeder::take_requests() {
  std::string path;
  std::string damage;
  bool wanted = false;
  {
    std::scoped_lock lock(mutex_);
    path = std::exchange(damaged_path_, {});
    damage = std::exchange(damage_, {});
    wanted = std::exchange(rebuild_wanted_, false);
  }
  for (auto* index : {&active_, &building_}) {
    if (*index && (*index)->path() == path) take_report(*index, path, damage);
  }
  if (!wanted || building_) return;
  not_before_ = {};
  begin_building("asked for");
}

void Feeder::take_report(std::unique_ptr<IndexWriter>& index, const std::string& path,
                         const std::string& why) {
  if (report_looked_at_ != Time() && Steady::now() < report_looked_at_ + kReportInterval)
    return;  // it will be told again
  std::string damage;
  try {
    damage = find_damage(path, stopping_);
  } catch (const Error&) {
    if (stopping()) throw Stopped();
  }
  report_looked_at_ = damage.empty() ? Steady::now() : Steady::time_point();
  if (damage.empty() && ++unconfirmed_ < kUnconfirmedReports) {
    telemetry::log_warning("search.damage_not_found", {{"file", path}, {"detail", why}});
    return;
  }
  unconfirmed_ = 0;
  drop(index, why + "; " + damage);
}

void Feeder::open_indexes() {
  active_.reset();
  building_.reset();
  fs::create_directories(options_.folder);
  auto numbers = index_files::numbers_in(options_.folder);
  if (!numbers.empty()) next_number_ = std::max(next_number_, numbers.front() + 1);
  for (auto number : numbers) open_file(number);
  reached_ = fed();
  opened_ = true;
}

// From the newest to the oldest: the newest whole one is used, and what is newer goes on being
// made.
void Feeder::open_file(std::uint64_t number) {
  auto path = index_files::path_of(options_.folder, number);
  std::string why;
  try {
    auto index = std::make_unique<IndexWriter>(path);
    const auto& state = index->state();
    bool ours = follows(*index) && state.fed <= feed_->newest() && state.fed >= feed_->forgotten();
    if (!ours) {
      why = "it does not follow this store";
    } else if (state.whole && !active_) {
      active_ = std::move(index);
      return;
    } else if (!state.whole && !active_ && !building_) {
      building_ = std::move(index);
      return;
    }
  } catch (const IndexDamaged& damage) {
    why = damage.what();
  }
  if (!why.empty()) {
    telemetry::log_warning("search.index_unusable", {{"file", path}, {"detail", why}});
  }
  index_files::remove(path);
}

void Feeder::begin_building(const char* why) {
  auto room = options_.free_disk_bytes();
  if (room < options_.min_free_disk_bytes + 2 * kMarginBytes) {
    not_before_ = Steady::now() + kLowRoomPause;
    telemetry::log_warning("search.low_disk", {{"detail", "no index is begun"}});
    return;
  }
  fs::create_directories(options_.folder);
  IndexState fresh;
  fresh.sequence = feed_->sequence();
  // What changed before is seen when it is read; what changes from here on is fed as well.
  fresh.fed = feed_->newest();
  auto path = index_files::path_of(options_.folder, next_number_);
  index_files::remove(path);
  fill_.restart();
  try {
    building_ = std::make_unique<IndexWriter>(path, fresh);
  } catch (const std::exception&) {
    index_files::remove(path);
    throw;
  }
  ++next_number_;
  if (!active_) reached_ = fresh.fed;
  rebuilds_.Increment();
  telemetry::log_info("search.rebuild_started", {{"file", path}, {"detail", why}});
}

void Feeder::discard(std::unique_ptr<IndexWriter>& index) {
  auto path = index->path();
  if (&index == &building_) fill_.restart();
  index.reset();
  publish();
  index_files::remove(path);
  replaced_();
}

void Feeder::drop(std::unique_ptr<IndexWriter>& index, const std::string& why) {
  telemetry::log_error("search.index_damaged", {{"file", index->path()}, {"detail", why}});
  // A disk that damages everything is not kept busy.
  if (&index == &building_) not_before_ = Steady::now() + kDamagedPause;
  discard(index);
}

void Feeder::check_in_place() {
  for (auto* index : {&active_, &building_}) {
    if (*index && (*index)->moved()) drop(*index, "the file is not there any more");
  }
}

// False where nothing may be fed.
bool Feeder::look_at_room() {
  bool low = options_.free_disk_bytes() < options_.min_free_disk_bytes + kMarginBytes;
  if (low != low_room_) {
    telemetry::log_warning("search.low_disk", {{"detail", low ? "nothing is fed" : "over"}});
  }
  low_room_ = low;
  if (low && building_) {
    not_before_ = Steady::now() + kLowRoomPause;
    discard(building_);
  }
  return !low;
}

}  // namespace colloquy::search
