// Makes one segment of a run of small ones, and takes away what another segment holds.
// It does little at a time, so that the seconds that are shipped meanwhile do not
// wait for it. For the thread that ships; blocks on the target and throws Error: a step
// that failed is taken again.
#pragma once

#include <cstddef>
#include <deque>
#include <vector>

#include "backup/target.h"
#include "base/ids.h"

namespace colloquy::backup {

class Merger {
 public:
  struct Limits {
    // So many in a row, or so many bytes, become one.
    std::size_t segments = 256;
    std::size_t bytes = std::size_t{4} << 20U;
  };
  // Both outlive it.
  Merger(LineageFolder& folder, IdSource& ids, Limits limits);

  // `segments` are what the target has, in order; they are changed as the target is.
  void step(std::vector<SegmentName>& segments);
  // It goes with the next steps: nobody needs it.
  void remove_later(SegmentName name) { unneeded_.push_back(std::move(name)); }
  // Drops from `segments` what another of them holds whole, to be removed later. Reads those
  // others.
  void drop_covered(std::vector<SegmentName>& segments);

 private:
  void choose(const std::vector<SegmentName>& segments);
  void read_chosen(std::vector<SegmentName>& segments);
  void replace_chosen(std::vector<SegmentName>& segments);
  void remove_unneeded();
  bool is_whole(const SegmentName& name) const;

  LineageFolder& folder_;
  IdSource& ids_;
  const Limits limits_;
  std::vector<SegmentName> chosen_;  // a run that is being read
  std::size_t read_ = 0;             // of them, into `merged_`
  Segment merged_;
  std::deque<SegmentName> unneeded_;
  std::size_t left_ = 0;  // files that this step may still touch
};

}  // namespace colloquy::backup
