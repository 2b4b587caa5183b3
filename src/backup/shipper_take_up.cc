// How a shipper begins: what the target has under the database's lineage, and whether the database
// is its continuation.
#include <algorithm>
#include <utility>

#include "backup/remembered_target.h"
#include "backup/shipper.h"
#include "base/error.h"
#include "telemetry/log.h"

namespace colloquy::backup {

void Shipper::begin() {
  if (options_.makes_target) files_.make_folder(options_.target);
  require_remembered();
  open_folder(source_.lineage());
  if (!take_up()) {
    auto other = ids_.next(clock_.now_ms());
    source_.set_lineage(other);
    telemetry::log_warning("backup.new_lineage",
                           {{"was", lineage_name(folder_->lineage())},
                            {"is", lineage_name(other)},
                            {"detail",
                             "the database is not the continuation of what the target "
                             "holds: it is backed up beside it"}});
    open_folder(other);
    take_up();
  }
  window_ = options_.keep;
  if (!options_.owns_log) window_ = std::max(window_, folder_->window().value_or(window_));
  folder_->set_window(window_);
  owner_ = folder_->take_over(clock_.now_ms(), ids_);
  ownership_seen_ms_ = clock_.now_ms();
  target_ = store::TargetFiles::identity(options_.target);
  erased_noted_ = false;
  {
    std::scoped_lock lock(place_mutex_);
    place_ = Place{folder_->lineage(), owner_};
  }
  begun_ = true;
  remember();
}

void Shipper::require_remembered() {
  // Once it has begun, require_ownership knows the folder from another in its place.
  if (options_.remembered_in.empty() || target_) return;
  const auto remembered = read_remembered_target(options_.remembered_in);
  if (!remembered || remembered->target != options_.target) return;
  if (remembered->lineage != source_.lineage()) return;  // nothing of it was ever there
  if (!lineages(files_, options_.target).empty()) return;
  throw unavailable("The backup's folder is not there: this database has a backup in " +
                    options_.target +
                    ", and no backup is in it. What is mounted there is not, or it was put "
                    "elsewhere. To begin a new one there, stop the server, and run colloquy backup "
                    "into it once.");
}

void Shipper::remember() {
  if (options_.remembered_in.empty()) return;
  const auto was = read_remembered_target(options_.remembered_in);
  if (was && was->target != options_.target) {
    telemetry::log_warning("backup.moved",
                           {{"was", was->target},
                            {"is", options_.target},
                            {"detail",
                             "the backup in the folder of before ends there, and does not list who "
                             "is erased from now on: restore from it with --erased"}});
  }
  remember_target(options_.remembered_in, {options_.target, folder_->lineage()});
}

void Shipper::open_folder(const Uuid& lineage) {
  hold_.reset();
  folder_ = std::make_unique<LineageFolder>(files_, options_.target, lineage);
  merger_ = std::make_unique<Merger>(
      *folder_, ids_, Merger::Limits{options_.merged_segments, options_.merged_bytes});
  folder_->make();
  hold_.emplace(folder_->path(), "Another backup of this database into this folder goes on.");
  auto bases = folder_->bases();
  for (const auto& damage : bases.damaged) {
    telemetry::log_error("backup.damaged", {{"detail", damage}});
  }
  bases_ = std::move(bases.records);
  segments_ = folder_->segments();
  position_.reset();
  shipped_ms_ = 0;
  log_bytes_since_base_ = 0;
}

std::optional<Segment> Shipper::newest_segment() {
  auto reaches_less = [](const auto& a, const auto& b) {
    return a.last_sequence < b.last_sequence;
  };
  while (!segments_.empty()) {
    auto newest = std::max_element(segments_.begin(), segments_.end(), reaches_less);
    try {
      return folder_->read(*newest);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kMalformed) throw;
      telemetry::log_warning("backup.torn_segment", {{"detail", error.message()}});
    }
    folder_->remove(*newest);
    segments_.erase(newest);
  }
  return std::nullopt;
}

bool Shipper::continues(const Segment& newest) {
  const auto& last = newest.commits.back();
  shipped_ms_ = last.time_ms;
  auto piece = source_.read(last.sequence, 1);
  if (piece.splits) return false;
  if (piece.gone || piece.commits.empty()) {
    lose_position("the log no longer has what was shipped last");
    return last.time_ms <= source_.newest_commit_ms();
  }
  if (piece.commits.front().batch != last.batch) return false;
  note_position({run_sequence(), last.last_sequence() + 1, last.sequence, digest_of(last)});
  return true;
}

// Ended before the first segment behind its base.
bool Shipper::continues(const BaseRecord& newest) {
  shipped_ms_ = newest.time_ms;
  auto last = source_.commit_with(newest.from_sequence);
  if (!last || newest.digest == Digest{}) {
    lose_position("the log no longer has what the base ends with");
    return true;
  }
  if (last->last_sequence() != newest.from_sequence) return false;
  if (digest_of(*last) != newest.digest) return false;
  const auto next = newest.from_sequence + 1;
  note_position({next, next, last->sequence, newest.digest});
  return true;
}

std::uint64_t Shipper::run_sequence() const {
  auto order = segments_;
  std::sort(order.begin(), order.end(),
            [](const auto& a, const auto& b) { return a.last_sequence > b.last_sequence; });
  auto begin = order.front().first_sequence;
  for (const auto& segment : order) {
    if (segment.last_sequence + 1 < begin) break;
    begin = std::min(begin, segment.first_sequence);
  }
  return begin;
}

bool Shipper::take_up() {
  auto newest = newest_segment();
  const auto committed = source_.newest_sequence();
  const auto committed_ms = source_.newest_commit_ms();
  for (auto& segment : segments_) segment.bytes = folder_->bytes(segment);
  for (const auto& base : bases_) {
    if (base.until_sequence > committed) return false;
    if (committed_ms != 0 && base.time_ms > committed_ms) return false;
  }
  if (newest) {
    if (newest->last_sequence() > committed || !continues(*newest)) return false;
  } else if (!bases_.empty() && !continues(bases_.back())) {
    return false;
  }
  merger_->drop_covered(segments_);
  if (bases_.empty()) return true;
  set_base_due(bases_.back().taken_ms);
  for (const auto& segment : segments_) {
    if (segment.last_sequence > bases_.back().from_sequence) {
      log_bytes_since_base_ += segment.bytes;
    }
  }
  return true;
}

}  // namespace colloquy::backup
