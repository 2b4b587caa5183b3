// What lies in the target of a backup, and how it is named:
//
//   TARGET/LINEAGE/bases/…                      RocksDB's BackupEngine
//   TARGET/LINEAGE/base-<id>-<random>.record    what a base holds; written when it is whole
//   TARGET/LINEAGE/log/<first>-<last>-<random>.segment
//                                               the commits of these sequence numbers
//   TARGET/LINEAGE/owner-<time>-<random>        who ships here; the last one does
//   TARGET/LINEAGE/keep-<seconds>               how far back it is to reach
//   TARGET/LINEAGE/caught-up-<time>-<sequence>  all that was committed by then is here, and the
//                                               segments reach up to there
//   TARGET/LINEAGE/run-ended-<sequence>         segments reached up to there, and what comes
//                                               behind them began anew
//
// LINEAGE is the database's own (32 hexadecimal digits), so that two histories never
// mix. Segments may overlap: a run of small ones is replaced by one that holds the
// same. For one thread; every call blocks on the target and throws Error.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "backup/segment.h"
#include "base/ids.h"
#include "store/rocksdb/target_files.h"

namespace colloquy::backup {

// With the commits behind `from_sequence` it is the database as of any of them whose number is at
// least `until_sequence`.
struct BaseRecord {
  std::uint32_t id = 0;  // the engine's
  std::uint64_t bytes = 0;
  std::uint64_t from_sequence = 0;   // the database had all up to here when it was begun
  std::uint64_t until_sequence = 0;  // its last row
  std::int64_t time_ms = 0;          // of the commit of that row
  std::int64_t taken_ms = 0;         // when it was begun
  Digest digest{};                   // of the commit that ends at from_sequence; zeros: not known
  std::string file;                  // the record's own, without its folder; empty: not written
  bool operator==(const BaseRecord&) const = default;
};

std::string encode(const BaseRecord& record);
// Throws Error(kMalformed).
BaseRecord decode_base(std::string_view text);

struct SegmentName {
  std::uint64_t first_sequence = 0;
  std::uint64_t last_sequence = 0;
  std::string file;       // without its folder
  std::size_t bytes = 0;  // 0: not looked up
  bool operator==(const SegmentName&) const = default;
};

// Whether a base that ends with that row and that commit is the one that the record speaks of.
// `last_commit_ms`: 0 where nothing was ever committed to it.
bool is_as_recorded(const BaseRecord& record, std::uint64_t last_row, std::int64_t last_commit_ms);

class LineageFolder {
 public:
  LineageFolder(store::TargetFiles files, const std::string& target, const Uuid& lineage);

  const Uuid& lineage() const { return lineage_; }
  const std::string& path() const { return path_; }
  std::string bases_path() const { return path_ + "/bases"; }
  store::TargetFiles& files() { return files_; }

  // Throws kUnavailable where the target itself is not there: a share that is not mounted must not
  // be taken for an empty one.
  void make();

  struct Bases {
    std::vector<BaseRecord> records;   // in order of id
    std::vector<std::string> damaged;  // files, and what is wrong with them
    std::vector<std::string> torn;     // of those the ones that were not written whole; names alone
    std::vector<std::uint32_t> damaged_ids;  // of the others
  };
  Bases bases() const;
  // Throws kConflict for a record that is there. Returns it with its file.
  BaseRecord write(BaseRecord record, IdSource& ids);
  void remove(const BaseRecord& record);
  void remove_torn(const std::string& record_file);

  // In order of their first sequence, of two the one that reaches further last.
  std::vector<SegmentName> segments() const;
  static SegmentName new_name(const Segment& segment, std::size_t bytes, IdSource& ids);
  // What is written of one that fails stays where it cannot be taken away at once.
  void write(const SegmentName& name, std::string_view encoded);
  // Throws kMalformed, naming the file, for one that is damaged or of another lineage.
  Segment read(const SegmentName& name) const;
  std::size_t bytes(const SegmentName& name) const;
  bool has(const SegmentName& name) const;
  bool has(const BaseRecord& record) const;
  void remove(const SegmentName& name);

  // Says that the caller ships here from now on, and nobody else. Returns the mark.
  std::string take_over(std::int64_t now_ms, IdSource& ids);
  // The mark of whoever does; empty where nobody does.
  std::string owner() const;

  // How far back the backup is to reach, as last said here.
  std::optional<std::chrono::seconds> window() const;
  void set_window(std::chrono::seconds window);

  struct CaughtUp {
    // All that was acknowledged by this time has been shipped; 0: it was never said. Commits that
    // are here may be later.
    std::int64_t time_ms = 0;
    // The last one that was in a segment then; 0: none was, or it was not said.
    std::uint64_t sequence = 0;
  };
  CaughtUp caught_up() const;
  // In the place of what was said before.
  void set_caught_up(const CaughtUp& caught_up);

  // What follows the commit of `sequence`, which is in a segment, begins anew. Said once, and no
  // more of those that no base needs.
  void end_run(std::uint64_t sequence);
  void forget_runs_up_to(std::uint64_t sequence);
  // The last sequence numbers of the runs of segments that there were, as far as that was said, in
  // order: a log that ends before one of them has lost what was there.
  std::vector<std::uint64_t> run_ends() const;

  // When somebody last did something here: began to ship, caught up, took a base. 0: nobody did.
  std::int64_t last_use_ms() const;
  // With all that is in it; what cuts it off leaves nothing that could be restored.
  void remove_all();

 private:
  std::string log_path() const { return path_ + "/log"; }

  mutable store::TargetFiles files_;
  Uuid lineage_;
  std::string target_;
  std::string path_;
};

// Of a base that is not as recorded; for people.
std::string other_commits(const BaseRecord& record, const LineageFolder& folder);

// The lineages that have something in the target, in order.
std::vector<Uuid> lineages(const store::TargetFiles& files, const std::string& target);
std::string lineage_name(const Uuid& lineage);
// nullopt for what is no such name.
std::optional<Uuid> parse_lineage(std::string_view name);

}  // namespace colloquy::backup
