// Keeps a backup up to date: bases from time to time, and behind them the log in
// segments. The target alone says where it stands, so that it goes on there after a
// crash. For one thread, but for the functions that say otherwise.
//
// A database that is not the continuation of what the target has under its lineage
// (a volume was set back to an older snapshot, a folder was copied) gets a lineage of
// its own, and a backup beside the other.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "backup/base_taker.h"
#include "backup/folder_hold.h"
#include "backup/merger.h"
#include "backup/old_lineages.h"
#include "backup/target.h"
#include "base/clock.h"
#include "base/ids.h"
#include "store/erasure.h"
#include "store/rocksdb/backup_source.h"
#include "telemetry/metrics.h"

namespace colloquy::backup {

struct ShipperOptions {
  std::string target;
  // Any second of this time can be restored. Without owns_log more, where the target says so.
  std::chrono::seconds keep{35LL * 24 * 60 * 60};
  // Whether the database keeps its log for this shipper, which then says what may go.
  bool owns_log = false;
  // Whether the target is made where it is not there. A share that is not mounted looks like that.
  bool makes_target = false;
  // A file that remembers the target (remembered_target.h), which then has a backup whenever this
  // begins; empty: none, and one is begun wherever there is none.
  std::string remembered_in;
  // Past it the log is given up, and the next base begins anew; and when less room than this is
  // left on the volume of the database, which would soon refuse every write.
  std::uint64_t min_free_disk_bytes = 0;
  std::uint64_t log_limit_bytes = std::uint64_t{4} << 30U;
  // A base is renewed after this time, or when there is so much log since.
  std::chrono::seconds base_age{24LL * 60 * 60};
  std::uint64_t base_log_bytes = std::uint64_t{256} << 20U;
  std::size_t segment_bytes = std::size_t{8} << 20U;
  // So many segments in a row that are smaller become one.
  std::size_t merged_segments = 256;
  std::size_t merged_bytes = std::size_t{4} << 20U;
  // Called on a thread of its own when a base that `round` began has come to its end.
  std::function<void()> base_ended;
};

struct ShipperMetrics {
  explicit ShipperMetrics(telemetry::Metrics& metrics);
  telemetry::Counter& log_bytes;
  telemetry::Counter& base_bytes;
  telemetry::Counter& segments;
  telemetry::Counter& bases;
  telemetry::Counter& log_given_up;
};

class Shipper {
 public:
  // All but the options outlive it.
  Shipper(store::BackupSource& source, store::TargetFiles files, Clock& clock, IdSource& ids,
          ShipperMetrics& metrics, ShipperOptions options);

  // Ships what is committed, begins a base when one is due, and removes what nobody can need.
  // Throws Error: what was to be done is tried again by the next round. kConflict: another server
  // ships here now, and this one no longer does. kUnavailable: the target is not there.
  void round();
  // The same, with a base at its end that is whole when it returns.
  void round_with_base(const store::CopyProgress& progress);
  // Only ships what is committed: the last thing before the end.
  void ship_rest();

  // The next round begins a base, as soon as none is being taken.
  void want_base(store::CopyProgress progress);
  // Not yet begun: it is not wanted any more. False where it is being taken.
  bool want_none();
  // The end of the one that was wanted, once: what it failed with, or null.
  std::optional<std::exception_ptr> wanted_ended();

  // Puts users on the target's list of the erased (erased_list.h), where it is the target that this
  // ships into. kUnavailable: it is out, or a folder that is not it is in its place, or no round
  // has found it yet. Safe to repeat; any thread.
  void note_erased(const std::vector<store::ErasedUser>& erased);

  // The log may have grown too long, or the disk too full for it. Any thread.
  void guard_log();

  // Whether what has been shipped can be restored: a base is there, and all since.
  bool restorable() const;
  const Uuid& lineage() const { return folder_->lineage(); }
  // The time of the last commit that is in the target. After a round.
  std::int64_t shipped_ms() const;

 private:
  using Steady = std::chrono::steady_clock;

  // Where the log in the target ends.
  struct Position {
    std::uint64_t run_sequence = 0;  // the target has all from here on
    std::uint64_t next_sequence = 0;
    std::uint64_t last_commit = 0;  // sequence of the one before; 0: not known
    Digest last_digest{};
  };

  void prepare();
  void begin();
  // Throws kUnavailable where the target that is remembered has no backup in it any more.
  void require_remembered();
  void remember();
  void open_folder(const Uuid& lineage);
  // Looks at what the target has. False when it is another history.
  bool take_up();
  // Takes the end off that was not written whole.
  std::optional<Segment> newest_segment();
  bool continues(const Segment& newest);
  bool continues(const BaseRecord& newest);
  // Of the segments that end at the last.
  std::uint64_t run_sequence() const;
  // The last that is in a segment; 0: there is none.
  std::uint64_t shipped_sequence() const;
  void require_ownership();
  // That all which was acknowledged by this time is in the target, as often as the ownership is
  // looked at.
  void note_caught_up(std::int64_t time_ms);
  void require_place();
  // Those whom the database lists and the target does not: it may have been out when they were
  // erased, or have lost them since.
  void note_erased_users();
  // Those whose erasure is under way: a restore as of before it leaves them out, and one as of
  // later goes on with it.
  void note_erasing_users();
  void release_log();
  void ship();
  void write_segment(std::vector<store::Commit> commits);
  void note_position(const Position& position);
  void begin_position();
  void lose_position(const char* why);
  void note_clock();
  bool base_is_due() const;
  void begin_base();
  std::exception_ptr finish_base(bool wait);
  void add_base(const BaseRecord& record);
  void set_base_due(std::int64_t taken_ms);
  void prune();

  store::BackupSource& source_;
  store::TargetFiles files_;
  Clock& clock_;
  IdSource& ids_;
  ShipperMetrics& metrics_;
  const ShipperOptions options_;

  bool begun_ = false;
  std::unique_ptr<LineageFolder> folder_;  // once it has begun
  std::unique_ptr<Merger> merger_;         // the same
  std::optional<FolderHold> hold_;         // the same; of the folder
  std::optional<store::TargetFiles::Identity> target_;
  std::chrono::seconds window_{0};
  std::string owner_;
  std::optional<std::int64_t> ownership_seen_ms_;
  bool erased_noted_ = false;  // all whom the database lists, since the target was last out
  std::optional<Position> position_;
  std::int64_t shipped_ms_ = 0;
  std::vector<BaseRecord> bases_;
  std::vector<SegmentName> segments_;
  std::uint64_t log_bytes_since_base_ = 0;
  // By a clock that nobody sets.
  Steady::time_point base_due_;
  Steady::time_point base_not_before_;  // after one that failed
  std::optional<Steady::time_point> clock_told_;
  std::atomic<bool> log_given_up_{false};
  std::atomic<std::uint64_t> shipped_commit_{0};  // position_->last_commit, for guard_log

  // What is in the target that this ships into, and in no folder in its place.
  struct Place {
    Uuid lineage;
    std::string owner;
  };
  std::mutex place_mutex_;
  std::optional<Place> place_;  // guarded by place_mutex_; once it has begun

  OldLineages old_lineages_;
  bool base_wanted_ = false;
  store::CopyProgress wanted_progress_;
  std::optional<std::exception_ptr> wanted_ended_;
  BaseTaker base_;
};

}  // namespace colloquy::backup
