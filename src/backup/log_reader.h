// The commits of a lineage in order, out of whichever segments hold them whole. A
// server may ship into the lineage meanwhile: the end may be half a segment for a
// moment, and a run of segments be replaced by one.
// For one thread; blocks; throws Error for what is not damage.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "backup/target.h"

namespace colloquy::backup {

// For people.
std::string missing_commits(std::uint64_t first, std::uint64_t last, const LineageFolder& folder);

class LogReader {
 public:
  // A commit that is had already, and that what is read must follow.
  struct Before {
    std::uint64_t last_sequence = 0;
    Digest digest{};
  };
  // What a base begins with; nullopt where its record does not say.
  static std::optional<Before> before_log_of(const BaseRecord& base);
  // Begins with the commit of `sequence`, or with the one that holds it. `folder` outlives it.
  LogReader(const LineageFolder& folder, std::uint64_t sequence,
            std::optional<Before> before = std::nullopt);

  // The next ones; nullopt at the end, and where one is missing or damaged: then `problems` say
  // which, and `ended` is false.
  std::optional<std::vector<store::Commit>> next();

  // The commits that are missing where it stands, where what comes behind them begins anew: nobody
  // has shipped them. Of a segment that was lost the next one says so, or the end of its run that
  // was noted.
  const std::vector<std::string>& gaps() const { return gaps_; }
  // Nothing that the target has comes later, and nothing that it had is known to be missing there.
  bool ended() const { return ended_; }
  // What is damaged or missing so far, even where another segment had the same.
  const std::vector<std::string>& problems() const { return problems_; }
  std::uint64_t next_sequence() const { return sequence_; }
  // Goes on with the commit of `sequence`.
  void go_to(std::uint64_t sequence, std::optional<Before> before);

 private:
  enum class Found : std::uint8_t { kYes, kNo, kListAgain };
  std::optional<Segment> find();
  Found try_candidates(std::optional<Segment>& found);
  void list();
  void note_what_is_missing();
  // A second time, after a pause, where it cannot be read, or is the newest and may be being
  // written.
  Segment read(const SegmentName& name) const;
  bool follows(const Segment& segment) const;
  bool begins_anew(const SegmentName& name) const;

  const LineageFolder& folder_;
  // Read before the segments are listed: a server that ships meanwhile says so after it has.
  const std::vector<std::uint64_t> run_ends_;
  std::vector<SegmentName> names_;  // in order of their first sequence
  std::size_t at_ = 0;              // the first one that is not among the candidates
  std::vector<SegmentName> candidates_;
  std::uint64_t sequence_;
  std::optional<Before> before_;
  bool damaged_here_ = false;  // what would have been next
  bool ended_ = false;
  std::vector<std::string> problems_;
  std::vector<std::string> gaps_;
};

}  // namespace colloquy::backup
