#include "backup/shipper.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/error.h"
#include "telemetry/log.h"

namespace colloquy::backup {
namespace {

constexpr auto kBaseRetry = std::chrono::seconds(30);
constexpr std::int64_t kOwnershipSeenMs = 10'000;
// The log goes before the disk is so full that writes are refused.
constexpr std::uint64_t kRoomForWrites = std::uint64_t{64} << 20U;
constexpr std::size_t kPrunedSegments = 16;  // a round
constexpr std::int64_t kClockAheadMs = 60'000;
constexpr auto kClockToldAgain = std::chrono::hours(1);

std::int64_t milliseconds_of(std::chrono::seconds duration) { return duration.count() * 1000; }

// Does one thing after the other, whichever of them fails, and then fails with the first.
class Attempts {
 public:
  explicit Attempts(std::exception_ptr first) : first_(std::move(first)) {}
  template <class Work>
  bool try_to(const Work& work) {
    try {
      work();
      return true;
    } catch (...) {
      if (!first_) first_ = std::current_exception();
      return false;
    }
  }
  void end() const {
    if (first_) std::rethrow_exception(first_);
  }
  bool failed() const { return first_ != nullptr; }

 private:
  std::exception_ptr first_;
};

}  // namespace

ShipperMetrics::ShipperMetrics(telemetry::Metrics& metrics)
    : log_bytes(metrics.counter("colloquy_backup_log_bytes_total",
                                "Bytes of the log that were shipped into the backup.")),
      base_bytes(metrics.counter("colloquy_backup_base_bytes_total",
                                 "Bytes of the bases of the backup, shared files too.")),
      segments(metrics.counter("colloquy_backup_segments_total",
                               "Segments of the log that were shipped.")),
      bases(metrics.counter("colloquy_backup_bases_total", "Bases that were taken.")),
      log_given_up(metrics.counter("colloquy_backup_log_given_up_total",
                                   "Times that the log was given up because the target was out "
                                   "for too long: seconds that cannot be restored.")) {}

Shipper::Shipper(store::BackupSource& source, store::TargetFiles files, Clock& clock, IdSource& ids,
                 ShipperMetrics& metrics, ShipperOptions options)
    : source_(source),
      files_(std::move(files)),
      clock_(clock),
      ids_(ids),
      metrics_(metrics),
      options_(std::move(options)),
      old_lineages_(files_, options_.target),
      base_(source, files_, clock, ids, options_.base_ended) {}

void Shipper::prepare() {
  if (!begun_) begin();
  require_ownership();
  if (log_given_up_.exchange(false)) lose_position("the log was given up");
}

void Shipper::round() {
  const auto begun_ms = clock_.now_ms();
  Attempts attempts(finish_base(false));
  if (attempts.try_to([this] { prepare(); })) {
    // The log goes as soon as it is shipped, and what is too old goes even when nothing can be
    // shipped: it may be in the way.
    bool shipped = attempts.try_to([this] { ship(); });
    attempts.try_to([this] { release_log(); });
    bool due = base_is_due() && Steady::now() >= base_not_before_;
    shipped = shipped && attempts.try_to([this] { note_erased_users(); });
    if (shipped && !base_.running() && (base_wanted_ || due)) {
      attempts.try_to([this] { begin_base(); });
    }
    if (shipped) attempts.try_to([&] { note_caught_up(begun_ms); });
    attempts.try_to([this] { prune(); });
    attempts.try_to([this] { merger_->step(segments_); });
    if (options_.owns_log && restorable()) {
      attempts.try_to([&] { old_lineages_.step(folder_->lineage(), begun_ms, window_); });
    }
  }
  if (attempts.failed()) {
    ownership_seen_ms_.reset();
    erased_noted_ = false;
  }
  attempts.end();
}

void Shipper::round_with_base(const store::CopyProgress& progress) {
  const auto begun_ms = clock_.now_ms();
  finish_base(true);
  prepare();
  ship();
  release_log();
  if (!position_ && options_.owns_log) begin_position();
  add_base(base_.take({options_.target, folder_->lineage(), owner_, progress, false}));
  note_erased_users();
  note_erasing_users();
  folder_->set_caught_up({begun_ms, shipped_sequence()});
  prune();
  merger_->step(segments_);
}

void Shipper::ship_rest() {
  if (!begun_) return;
  const auto begun_ms = clock_.now_ms();
  ownership_seen_ms_.reset();
  require_ownership();
  ship();
  note_caught_up(begun_ms);
}

void Shipper::want_base(store::CopyProgress progress) {
  base_wanted_ = true;
  erased_noted_ = false;
  wanted_progress_ = std::move(progress);
}

bool Shipper::want_none() {
  base_wanted_ = false;
  wanted_progress_ = nullptr;
  return !base_.running_wanted();
}

std::optional<std::exception_ptr> Shipper::wanted_ended() {
  return std::exchange(wanted_ended_, std::nullopt);
}

void Shipper::guard_log() {
  auto too_much = [this] {
    auto bytes = source_.kept_log_bytes();
    bool full = options_.min_free_disk_bytes != 0 &&
                source_.free_disk_bytes() < options_.min_free_disk_bytes + kRoomForWrites;
    return bytes > options_.log_limit_bytes || (full && bytes > 0);
  };
  if (!options_.owns_log || !too_much()) return;
  // What is shipped is nobody's loss.
  if (auto shipped = shipped_commit_.load()) source_.release(shipped);
  if (!too_much()) return;
  telemetry::log_error("backup.log_given_up",
                       {{"bytes", source_.kept_log_bytes()},
                        {"free_bytes", source_.free_disk_bytes()},
                        {"detail",
                         "the target was out for too long; what was committed since the "
                         "last segment can be restored from the next base on only"}});
  metrics_.log_given_up.Increment();
  log_given_up_ = true;
  source_.release_all();
}

bool Shipper::restorable() const {
  return position_ && !bases_.empty() && bases_.back().from_sequence + 1 >= position_->run_sequence;
}

std::int64_t Shipper::shipped_ms() const {
  return bases_.empty() ? shipped_ms_ : std::max(shipped_ms_, bases_.back().time_ms);
}

void Shipper::release_log() {
  if (!options_.owns_log || !position_ || position_->last_commit == 0) return;
  if (source_.kept_log_bytes() != 0) source_.release(position_->last_commit);
}

void Shipper::require_ownership() {
  // Not every second: listing a bucket costs money.
  const auto now_ms = clock_.now_ms();
  const auto seen_ms = ownership_seen_ms_;
  if (seen_ms && now_ms >= *seen_ms && now_ms - *seen_ms < kOwnershipSeenMs) return;
  auto owner = folder_->owner();
  if (owner > owner_) {
    throw Error(ErrorCode::kConflict,
                "Another server ships into " + folder_->path() +
                    " now: two copies of one database run. This one is no longer backed up.");
  }
  if (owner == owner_) {
    ownership_seen_ms_ = now_ms;
    if (hold_ && !hold_->is_of(folder_->path())) {
      hold_.emplace(folder_->path(), "Another backup of this database into this folder goes on.");
      target_ = store::TargetFiles::identity(options_.target);
      erased_noted_ = false;  // a copy of before they were, maybe
    }
    return;
  }
  // Never in a folder that stands where the target was: it may be the mount point of a share that
  // will come back.
  auto there = store::TargetFiles::identity(options_.target);
  if (!there || there != target_) {
    throw unavailable("The backup's folder is not there: what is mounted at " + options_.target +
                      " is not, or it was put elsewhere. A new backup is begun at " +
                      options_.target + " only by a server that starts.");
  }
  if (base_.running()) throw unavailable("The backup has lost " + folder_->path() + ".");
  telemetry::log_error("backup.begun_anew",
                       {{"detail", "somebody has removed what was in " + folder_->path()}});
  begun_ = false;
  begin();
}

void Shipper::note_caught_up(std::int64_t time_ms) {
  // Whoever has taken the backup over says this from then on.
  const bool looked = ownership_seen_ms_ && *ownership_seen_ms_ >= time_ms;
  if (!looked || !restorable()) return;
  folder_->set_caught_up({time_ms, shipped_sequence()});
}

void Shipper::ship() {
  if (!position_) return;
  const auto newest = source_.newest_sequence();
  while (position_->next_sequence <= newest) {
    auto piece = source_.read(position_->next_sequence, options_.segment_bytes);
    if (piece.gone || piece.splits)
      return lose_position("the log no longer has what was committed next");
    if (piece.commits.empty()) return;
    write_segment(std::move(piece.commits));
  }
}

void Shipper::write_segment(std::vector<store::Commit> commits) {
  Segment segment{folder_->lineage(), position_->last_digest, std::move(commits)};
  // What carries no time of its own is as old as what came before it.
  auto time_ms = shipped_ms_;
  for (auto& commit : segment.commits) {
    time_ms = std::max(time_ms, commit.time_ms);
    commit.time_ms = time_ms;
  }
  auto encoded = encode(segment);
  auto name = LineageFolder::new_name(segment, encoded.size(), ids_);
  try {
    folder_->write(name, encoded);
  } catch (...) {
    merger_->remove_later(std::move(name));
    throw;
  }
  segments_.push_back(std::move(name));
  log_bytes_since_base_ += encoded.size();
  metrics_.log_bytes.Increment(static_cast<double>(encoded.size()));
  metrics_.segments.Increment();
  const auto& last = segment.commits.back();
  note_position(
      {position_->run_sequence, last.last_sequence() + 1, last.sequence, digest_of(last)});
  shipped_ms_ = time_ms;
  note_clock();
}

void Shipper::note_position(const Position& position) {
  position_ = position;
  shipped_commit_ = position.last_commit;
}

std::uint64_t Shipper::shipped_sequence() const {
  std::uint64_t last = 0;
  for (const auto& segment : segments_) last = std::max(last, segment.last_sequence);
  return last;
}

void Shipper::begin_position() {
  // A segment that is lost later is told by this from commits that nobody has shipped.
  const auto end = std::max(shipped_sequence(), folder_->caught_up().sequence);
  const bool needed = bases_.empty() || bases_.front().from_sequence < end;
  if (end != 0 && needed) folder_->end_run(end);
  shipped_ms_ = std::max(shipped_ms_, source_.newest_commit_ms());
  const auto next = source_.newest_sequence() + 1;
  note_position({next, next, 0, {}});
}

void Shipper::lose_position(const char* why) {
  telemetry::log_warning("backup.log_lost", {{"detail", why}});
  position_.reset();
  shipped_commit_ = 0;
}

// Commit times never go back: after a clock that was ahead they stand still until it is reached.
void Shipper::note_clock() {
  const auto ahead_ms = shipped_ms_ - clock_.now_ms();
  const auto now = Steady::now();
  if (ahead_ms < kClockAheadMs || (clock_told_ && now - *clock_told_ < kClockToldAgain)) return;
  clock_told_ = now;
  telemetry::log_warning("backup.clock",
                         {{"ahead_ms", ahead_ms},
                          {"detail",
                           "the clock was ahead once: until it gets there, all commits have the "
                           "same time, and no moment between them can be restored"}});
}

bool Shipper::base_is_due() const {
  if (!restorable()) return true;
  auto enough = std::max<std::uint64_t>(options_.base_log_bytes, bases_.back().bytes / 2);
  return log_bytes_since_base_ >= enough || Steady::now() >= base_due_;
}

void Shipper::begin_base() {
  // Before the base, so that it finds every commit behind it in the segments.
  if (!position_) begin_position();
  base_.begin({options_.target, folder_->lineage(), owner_,
               std::exchange(wanted_progress_, nullptr), std::exchange(base_wanted_, false)});
}

std::exception_ptr Shipper::finish_base(bool wait) {
  auto taken = base_.finish(wait);
  if (!taken) return nullptr;
  if (taken->wanted) wanted_ended_ = taken->failure;
  if (taken->failure) {
    base_not_before_ = Steady::now() + kBaseRetry;
  } else {
    add_base(*taken->record);
  }
  return taken->failure;
}

void Shipper::add_base(const BaseRecord& record) {
  bases_.push_back(record);
  ownership_seen_ms_.reset();  // it is looked at again, and with it is said what the target has
  erased_noted_ = false;
  set_base_due(clock_.now_ms());
  log_bytes_since_base_ = 0;
  metrics_.bases.Increment();
  metrics_.base_bytes.Increment(static_cast<double>(record.bytes));
  telemetry::log_info("backup.base_taken", {{"lineage", lineage_name(folder_->lineage())},
                                            {"base", record.id},
                                            {"bytes", record.bytes}});
}

void Shipper::set_base_due(std::int64_t taken_ms) {
  using std::chrono::milliseconds;
  const milliseconds age(clock_.now_ms() - taken_ms);
  // One that a clock that was ahead has dated says nothing of its age.
  const bool known = age >= milliseconds(0) && age < options_.base_age;
  base_due_ = Steady::now() + (known ? options_.base_age - age : milliseconds(0));
}

void Shipper::prune() {
  if (base_.running() || bases_.empty()) return;
  const auto oldest_ms = clock_.now_ms() - milliseconds_of(window_);
  // The newest that is older than the window; all before it serve nobody.
  auto first_needed = bases_.begin();
  for (auto base = bases_.begin(); base != bases_.end(); ++base) {
    if (std::min(base->time_ms, base->taken_ms) <= oldest_ms) first_needed = base;
  }
  if (first_needed != bases_.begin()) {
    // One in a round. Its record goes first, so that nobody takes what is left for a whole one.
    auto base = bases_.front();
    folder_->remove(base);
    bases_.erase(bases_.begin());
    store::BaseEngine(files_, folder_->bases_path(), store::BaseEngine::Use::kWrite)
        .remove(base.id);
    folder_->forget_runs_up_to(bases_.front().from_sequence);
  }
  const auto needed_from = bases_.front().from_sequence;
  for (std::size_t removed = 0; removed < kPrunedSegments; ++removed) {
    if (segments_.empty() || segments_.front().last_sequence > needed_from) return;
    folder_->remove(segments_.front());
    segments_.erase(segments_.begin());
  }
}

}  // namespace colloquy::backup
