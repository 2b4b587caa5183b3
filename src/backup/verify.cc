#include "backup/verify.h"

#include <algorithm>
#include <utility>

#include "backup/log_reader.h"
#include "base/error.h"
#include "store/rocksdb/base_engine.h"
#include "store/rocksdb/restored_store.h"

namespace colloquy::backup {
namespace {

class Verification {
 public:
  Verification(const store::TargetFiles& files, const std::string& target, const Uuid& lineage,
               const VerifyProgress& progress)
      : files_(files), folder_(files, target, lineage), progress_(progress) {
    result_.lineage = lineage;
  }

  Verified run() {
    // First of all: a server that ships meanwhile says so after it has.
    caught_up_ms_ = folder_.caught_up().time_ms;
    auto bases = folder_.bases();
    result_.problems = std::move(bases.damaged);
    read_bases(std::move(bases.records));
    read_log();
    return std::move(result_);
  }

 private:
  void read_bases(std::vector<BaseRecord> records) {
    if (records.empty()) return;
    store::BaseEngine engine(files_, folder_.bases_path(), store::BaseEngine::Use::kRead);
    std::uint64_t done = 0;
    for (auto& record : records) {
      tell("reading bases", done++, records.size());
      try {
        engine.verify(record.id);
        if (is_as_recorded(engine, record)) bases_.push_back(record);
      } catch (const Error& error) {
        // One that a server has removed meanwhile, because it is too old, is no damage.
        if (folder_.has(record)) result_.problems.push_back(error.detail());
      }
    }
    tell("reading bases", done, records.size());
    result_.bases = bases_.size();
  }

  // Bytes that are as they were written may still be another base's.
  bool is_as_recorded(const store::BaseEngine& engine, const BaseRecord& record) {
    const auto held = engine.held(record.id);
    if (backup::is_as_recorded(record, held.sequence, held.last_commit_ms)) return true;
    result_.problems.push_back(other_commits(record, folder_));
    return false;
  }

  // From the first base on, past gaps. A base that lies within a run of commits lengthens nothing;
  // one behind a gap begins a window.
  void read_log() {
    if (bases_.empty()) return;
    const auto names = folder_.segments();
    LogReader log(folder_, bases_.front().from_sequence + 1,
                  LogReader::before_log_of(bases_.front()));
    auto base = bases_.begin();
    begin_window(*base++);
    std::uint64_t segments = 0;
    for (;;) {
      auto commits = log.next();
      tell("reading the log", std::min<std::uint64_t>(segments++, names.size()), names.size());
      if (commits) {
        const auto* bad = take_all(*commits);
        if (bad != nullptr) {
          end_window(false);
          while (base != bases_.end() && base->from_sequence < bad->last_sequence()) ++base;
          if (base == bases_.end()) return;
          go_on_with(*base++, log);
          continue;
        }
        pass_bases(*commits, base);
        continue;
      }
      if (!pass_gap(log, base)) return;
    }
  }

  // Goes on with the next base where the log does not; false at the end.
  bool pass_gap(LogReader& log, std::vector<BaseRecord>::iterator& base) {
    for (; problems_ < log.problems().size(); ++problems_) {
      result_.problems.push_back(log.problems()[problems_]);
    }
    std::vector<std::string> gaps;
    for (; gaps_ < log.gaps().size(); ++gaps_) gaps.push_back(log.gaps()[gaps_]);
    if (log.ended() && base != bases_.end() && base->from_sequence >= log.next_sequence()) {
      gaps.push_back(missing_commits(log.next_sequence(), base->from_sequence, folder_));
    }
    end_window(log.ended() && gaps.empty());
    const bool goes_on = next_base(log, base);
    // What follows a gap is of no use without a base behind it.
    auto& told = goes_on ? result_.gaps : result_.problems;
    told.insert(told.end(), gaps.begin(), gaps.end());
    return goes_on;
  }

  // The first that could not be applied; null: there is none.
  const store::Commit* take_all(const std::vector<store::Commit>& commits) {
    for (const auto& commit : commits) {
      try {
        store::require_applicable(commit);
      } catch (const Error& error) {
        result_.problems.push_back("commit " + std::to_string(commit.sequence) + ": " +
                                   error.detail());
        return &commit;
      }
      take(commit);
    }
    return nullptr;
  }

  void take(const store::Commit& commit) {
    ++result_.commits;
    auto& window = result_.windows.back();
    window.to_ms = std::max(window.to_ms, commit.time_ms);
  }

  // Goes on behind a gap; false at the end.
  bool next_base(LogReader& log, std::vector<BaseRecord>::iterator& base) {
    while (base != bases_.end() && base->until_sequence < log.next_sequence()) ++base;
    if (base == bases_.end()) return false;
    go_on_with(*base++, log);
    return true;
  }

  void go_on_with(const BaseRecord& base, LogReader& log) {
    begin_window(base);
    log.go_to(base.from_sequence + 1, LogReader::before_log_of(base));
  }

  // The bases that lie within these commits: a restore that begins with one asks that the log is of
  // its history.
  void pass_bases(const std::vector<store::Commit>& commits,
                  std::vector<BaseRecord>::iterator& base) {
    for (; base != bases_.end() && base->from_sequence <= commits.back().last_sequence(); ++base) {
      in_base_until_ms_ = base->taken_ms;
      const auto ends_with = LogReader::before_log_of(*base);
      if (!ends_with || base->from_sequence < commits.front().sequence) continue;
      const auto at = std::find_if(commits.begin(), commits.end(), [&base](const auto& commit) {
        return commit.last_sequence() >= base->from_sequence;
      });
      if (at->last_sequence() == base->from_sequence && digest_of(*at) == ends_with->digest) {
        continue;
      }
      result_.problems.push_back(folder_.path() + "/" + base->file + ": the commit " +
                                 std::to_string(base->from_sequence) +
                                 " of the log is not the one that the base ends with");
    }
  }

  void begin_window(const BaseRecord& base) {
    result_.windows.push_back({base.time_ms, base.time_ms});
    in_base_until_ms_ = base.taken_ms;
  }

  void end_window(bool with_the_log) {
    auto& window = result_.windows.back();
    // Where commits are missing, the next of them may be of the same millisecond as the last that
    // is there, but of none before a base was begun.
    window.to_ms = with_the_log
                       ? std::max(window.to_ms, caught_up_ms_)
                       : std::max({window.from_ms, window.to_ms - 1, in_base_until_ms_ - 1});
  }

  void tell(const std::string& phase, std::uint64_t done, std::uint64_t expected) const {
    if (progress_) progress_(phase, done, expected);
  }

  const store::TargetFiles& files_;
  LineageFolder folder_;
  const VerifyProgress& progress_;
  std::vector<BaseRecord> bases_;  // whole ones
  std::size_t problems_ = 0;       // of the log's, that were told
  std::size_t gaps_ = 0;
  std::int64_t caught_up_ms_ = 0;
  std::int64_t in_base_until_ms_ = 0;  // of the newest base of the window
  Verified result_;
};

}  // namespace

std::vector<Verified> verify(const store::TargetFiles& files, const std::string& target,
                             const std::optional<Uuid>& lineage, const VerifyProgress& progress) {
  auto all = lineages(files, target);
  if (lineage) std::erase_if(all, [&](const auto& one) { return one != *lineage; });
  if (all.empty()) throw Error(ErrorCode::kInvalid, "There is no such backup in " + target + ".");
  std::vector<Verified> results;
  results.reserve(all.size());
  for (const auto& one : all) {
    results.push_back(Verification(files, target, one, progress).run());
  }
  return results;
}

}  // namespace colloquy::backup
