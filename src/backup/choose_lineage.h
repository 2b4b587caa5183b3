// Which of the histories in a target is meant.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "backup/target.h"

namespace colloquy::backup {

struct Span {
  Uuid lineage;
  std::int64_t first_ms = 0;  // of the oldest base
  std::int64_t last_ms = 0;   // up to which it has everything
};
// Of those that have a base, the one with the newest commit last.
std::vector<Span> spans(const store::TargetFiles& files, const std::string& target);

// `named`, or the only one that has `at_ms` (nullopt: the end). Throws kInvalid, listing what there
// is, where none has or more than one.
Uuid choose_lineage(const store::TargetFiles& files, const std::string& target,
                    const std::optional<Uuid>& named, std::optional<std::int64_t> at_ms);

}  // namespace colloquy::backup
