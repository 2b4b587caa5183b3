#include "backup/merger.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/error.h"
#include "telemetry/log.h"

namespace colloquy::backup {
namespace {

constexpr std::size_t kFilesAStep = 16;

bool holds(const SegmentName& cover, const SegmentName& name) {
  return cover.first_sequence <= name.first_sequence && name.last_sequence <= cover.last_sequence;
}

}  // namespace

Merger::Merger(LineageFolder& folder, IdSource& ids, Limits limits)
    : folder_(folder), ids_(ids), limits_(limits) {}

void Merger::step(std::vector<SegmentName>& segments) {
  left_ = kFilesAStep;
  remove_unneeded();
  if (chosen_.empty()) choose(segments);
  if (chosen_.empty()) return;
  read_chosen(segments);
  if (!chosen_.empty() && read_ == chosen_.size()) replace_chosen(segments);
  remove_unneeded();
}

void Merger::choose(const std::vector<SegmentName>& segments) {
  const auto small = limits_.bytes / 4;
  std::size_t begin = 0;
  std::size_t bytes = 0;
  for (std::size_t at = 0; at < segments.size(); ++at) {
    bool joins = at > begin && segments[at].first_sequence == segments[at - 1].last_sequence + 1;
    if (segments[at].bytes > small) {
      begin = at + 1;
      bytes = 0;
      continue;
    }
    if (!joins) {
      begin = at;
      bytes = 0;
    }
    bytes += segments[at].bytes;
    bool enough = at + 1 - begin >= limits_.segments || bytes >= limits_.bytes;
    if (!enough || at == begin) continue;
    chosen_.assign(segments.begin() + static_cast<std::ptrdiff_t>(begin),
                   segments.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    read_ = 0;
    merged_ = {};
    return;
  }
}

void Merger::read_chosen(std::vector<SegmentName>& segments) {
  try {
    for (; read_ < chosen_.size() && left_ > 0; ++read_, --left_) {
      auto segment = folder_.read(chosen_[read_]);
      if (read_ == 0) {
        merged_ = std::move(segment);
        continue;
      }
      bool follows =
          segment.previous == Digest{} || segment.previous == digest_of(merged_.commits.back());
      if (!follows) {
        throw malformed(chosen_[read_].file + ": it does not follow the commit before it");
      }
      std::move(segment.commits.begin(), segment.commits.end(),
                std::back_inserter(merged_.commits));
    }
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kMalformed) throw;
    telemetry::log_error("backup.damaged", {{"detail", error.message()}});
    // They stay as they are.
    for (auto& segment : segments) {
      if (holds({chosen_.front().first_sequence, chosen_.back().last_sequence, {}, 0}, segment)) {
        segment.bytes = limits_.bytes;
      }
    }
    chosen_.clear();
  }
}

void Merger::replace_chosen(std::vector<SegmentName>& segments) {
  auto begin = std::find(segments.begin(), segments.end(), chosen_.front());
  // Too old meanwhile, in part.
  bool there =
      begin != segments.end() &&
      std::distance(begin, segments.end()) >= static_cast<std::ptrdiff_t>(chosen_.size()) &&
      std::equal(chosen_.begin(), chosen_.end(), begin);
  auto chosen = std::exchange(chosen_, {});
  auto all = std::exchange(merged_, {});
  if (!there) return;
  auto encoded = encode(all);
  auto name = LineageFolder::new_name(all, encoded.size(), ids_);
  try {
    folder_.write(name, encoded);
  } catch (...) {
    remove_later(std::move(name));
    throw;
  }
  *begin = std::move(name);
  segments.erase(begin + 1, begin + static_cast<std::ptrdiff_t>(chosen.size()));
  for (auto& old : chosen) remove_later(std::move(old));
}

void Merger::remove_unneeded() {
  while (!unneeded_.empty() && left_ > 0) {
    --left_;
    folder_.remove(unneeded_.front());
    unneeded_.pop_front();
  }
}

bool Merger::is_whole(const SegmentName& name) const {
  try {
    folder_.read(name);
    return true;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kMalformed) throw;
    return false;
  }
}

void Merger::drop_covered(std::vector<SegmentName>& segments) {
  // Of those that begin together, the one that reaches furthest first.
  std::vector<std::size_t> order(segments.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&segments](std::size_t a, std::size_t b) {
    const auto& one = segments[a];
    const auto& other = segments[b];
    if (one.first_sequence != other.first_sequence) {
      return one.first_sequence < other.first_sequence;
    }
    return one.last_sequence > other.last_sequence;
  });
  std::vector<bool> covered(segments.size());
  std::size_t cover = 0;  // in `order`
  bool whole = false;     // it has been read
  for (std::size_t at = 1; at < order.size(); ++at) {
    const auto& name = segments[order[at]];
    if (!holds(segments[order[cover]], name)) {
      cover = at;
      whole = false;
      continue;
    }
    whole = whole || is_whole(segments[order[cover]]);
    if (whole) {
      covered[order[at]] = true;
    } else if (holds(name, segments[order[cover]]) && is_whole(name)) {
      covered[order[cover]] = true;
      cover = at;
      whole = true;
    }
  }
  std::vector<SegmentName> kept;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    if (covered[i]) {
      remove_later(std::move(segments[i]));
    } else {
      kept.push_back(std::move(segments[i]));
    }
  }
  segments = std::move(kept);
}

}  // namespace colloquy::backup
