#include "backup/log_reader.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "base/error.h"

namespace colloquy::backup {
namespace {

// How long a segment may be visible before it is whole.
constexpr auto kWriting = std::chrono::milliseconds(500);
// A server that ships meanwhile replaces segments, but not for ever.
constexpr int kListings = 100;

}  // namespace

std::string missing_commits(std::uint64_t first, std::uint64_t last, const LineageFolder& folder) {
  return "the commits " + std::to_string(first) + " to " + std::to_string(last) +
         " are in no segment of " + folder.path() + "/log";
}

LogReader::LogReader(const LineageFolder& folder, std::uint64_t sequence,
                     std::optional<Before> before)
    : folder_(folder), run_ends_(folder.run_ends()), sequence_(sequence), before_(before) {
  list();
}

std::optional<LogReader::Before> LogReader::before_log_of(const BaseRecord& base) {
  if (base.digest == Digest{}) return std::nullopt;
  return Before{base.from_sequence, base.digest};
}

void LogReader::list() {
  names_ = folder_.segments();
  at_ = 0;
  candidates_.clear();
}

Segment LogReader::read(const SegmentName& name) const {
  try {
    return folder_.read(name);
  } catch (const Error& error) {
    bool newest = std::none_of(names_.begin(), names_.end(), [&name](const auto& other) {
      return other.last_sequence > name.last_sequence;
    });
    if (error.code() == ErrorCode::kMalformed && !newest) throw;
  }
  if (!folder_.has(name)) throw not_found();
  std::this_thread::sleep_for(kWriting);
  return folder_.read(name);
}

// Two histories may have the same numbers.
bool LogReader::follows(const Segment& segment) const {
  if (!before_) return true;
  const auto first = segment.first_sequence();
  if (first == before_->last_sequence + 1) {
    return segment.previous == Digest{} || segment.previous == before_->digest;
  }
  if (first > before_->last_sequence) return true;
  return std::any_of(segment.commits.begin(), segment.commits.end(), [this](const auto& commit) {
    return commit.last_sequence() == before_->last_sequence && digest_of(commit) == before_->digest;
  });
}

bool LogReader::begins_anew(const SegmentName& name) const {
  try {
    return folder_.read(name).previous == Digest{};
  } catch (const Error&) {
    return false;
  }
}

LogReader::Found LogReader::try_candidates(std::optional<Segment>& found) {
  while (!candidates_.empty()) {
    auto name = std::move(candidates_.back());
    candidates_.pop_back();
    try {
      auto segment = read(name);
      if (follows(segment)) {
        found = std::move(segment);
        return Found::kYes;
      }
      problems_.push_back(name.file + ": it does not follow the commit before it");
    } catch (const Error& error) {
      // Another has taken its place, or it has become too old.
      if (error.code() != ErrorCode::kMalformed && !folder_.has(name)) return Found::kListAgain;
      problems_.push_back(error.code() == ErrorCode::kMalformed
                              ? error.message()
                              : name.file + ": it cannot be read: " + error.detail());
    }
  }
  return Found::kNo;
}

std::optional<Segment> LogReader::find() {
  for (int listing = 0; listing < kListings; ++listing) {
    while (at_ < names_.size() && names_[at_].first_sequence <= sequence_) {
      candidates_.push_back(names_[at_++]);
    }
    std::erase_if(candidates_, [this](const auto& name) { return name.last_sequence < sequence_; });
    std::sort(candidates_.begin(), candidates_.end(),
              [](const auto& a, const auto& b) { return a.last_sequence < b.last_sequence; });
    damaged_here_ = !candidates_.empty();
    std::optional<Segment> segment;
    auto found = try_candidates(segment);
    if (found != Found::kListAgain) return segment;
    list();
  }
  throw unavailable("The backup changes all the time.", folder_.path());
}

// Where it stands, up to the next segment that there is.
void LogReader::note_what_is_missing() {
  auto missing_from = sequence_;
  const auto end = std::lower_bound(run_ends_.begin(), run_ends_.end(), missing_from);
  const bool lost =
      end != run_ends_.end() && (at_ == names_.size() || *end < names_[at_].first_sequence);
  if (lost) {
    ended_ = false;
    problems_.push_back(missing_commits(missing_from, *end, folder_));
    missing_from = *end + 1;
  }
  if (at_ == names_.size() || names_[at_].first_sequence == missing_from) return;
  auto& told = begins_anew(names_[at_]) ? gaps_ : problems_;
  told.push_back(missing_commits(missing_from, names_[at_].first_sequence - 1, folder_));
}

std::optional<std::vector<store::Commit>> LogReader::next() {
  auto segment = find();
  if (!segment) {
    ended_ = at_ == names_.size() && !damaged_here_;
    if (!damaged_here_) note_what_is_missing();
    return std::nullopt;
  }
  auto& commits = segment->commits;
  auto begin = std::find_if(commits.begin(), commits.end(),
                            [this](const auto& one) { return one.last_sequence() >= sequence_; });
  commits.erase(commits.begin(), begin);
  before_ = Before{commits.back().last_sequence(), digest_of(commits.back())};
  sequence_ = before_->last_sequence + 1;
  return std::move(commits);
}

void LogReader::go_to(std::uint64_t sequence, std::optional<Before> before) {
  sequence_ = sequence;
  before_ = before;
  ended_ = false;
  at_ = 0;
  candidates_.clear();
}

}  // namespace colloquy::backup
