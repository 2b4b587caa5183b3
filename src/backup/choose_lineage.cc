#include "backup/choose_lineage.h"

#include <algorithm>
#include <vector>

#include "backup/moment.h"
#include "base/error.h"

namespace colloquy::backup {
namespace {

// Of the newest segment that is whole.
std::int64_t last_commit_ms(const LineageFolder& folder) {
  auto names = folder.segments();
  std::sort(names.begin(), names.end(),
            [](const auto& a, const auto& b) { return a.last_sequence > b.last_sequence; });
  for (const auto& name : names) {
    try {
      return folder.read(name).commits.back().time_ms;
    } catch (const Error& error) {
      // One that has been replaced since it was listed has its commits in another.
      if (error.code() != ErrorCode::kMalformed && folder.has(name)) throw;
    }
  }
  return 0;
}

std::string list_of(const std::vector<Span>& spans) {
  std::string text;
  for (const auto& span : spans) {
    text += "\n  --lineage " + lineage_name(span.lineage) + "  from " + to_text_utc(span.first_ms) +
            " to " + to_text_utc(span.last_ms);
  }
  return text;
}

}  // namespace

std::vector<Span> spans(const store::TargetFiles& files, const std::string& target) {
  std::vector<Span> found;
  for (const auto& lineage : lineages(files, target)) {
    LineageFolder folder(files, target, lineage);
    auto bases = folder.bases().records;
    if (bases.empty()) continue;
    found.push_back(
        {lineage, bases.front().time_ms,
         std::max({last_commit_ms(folder), bases.back().time_ms, folder.caught_up().time_ms})});
  }
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.last_ms < b.last_ms; });
  return found;
}

Uuid choose_lineage(const store::TargetFiles& files, const std::string& target,
                    const std::optional<Uuid>& named, std::optional<std::int64_t> at_ms) {
  auto all = spans(files, target);
  if (all.empty()) throw Error(ErrorCode::kInvalid, "There is no backup in " + target + ".");
  if (named) {
    bool known = std::any_of(all.begin(), all.end(),
                             [&](const auto& span) { return span.lineage == *named; });
    if (known) return *named;
    throw Error(ErrorCode::kInvalid, "There is no such lineage. There are:" + list_of(all));
  }
  auto begun = all;
  if (at_ms) std::erase_if(begun, [&](const auto& span) { return span.first_ms > *at_ms; });
  auto holding = begun;
  if (at_ms) std::erase_if(holding, [&](const auto& span) { return span.last_ms < *at_ms; });
  if (holding.size() == 1) return holding.front().lineage;
  if (holding.empty() && begun.size() == 1) return begun.front().lineage;
  if (begun.empty()) {
    throw Error(ErrorCode::kInvalid, "The backup begins later than that. There is:" + list_of(all));
  }
  throw Error(
      ErrorCode::kInvalid,
      "The backup is of more than one database: say which is meant. There are:" + list_of(all));
}

}  // namespace colloquy::backup
