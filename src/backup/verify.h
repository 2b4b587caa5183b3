// Proves that a backup can be restored, by reading all of it: every byte of every base
// against its checksum, every segment, and that the commits follow each other and
// could be applied. Blocks; changes nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "backup/target.h"

namespace colloquy::backup {

struct Window {
  std::int64_t from_ms = 0;
  // The last commit that is there, or later, where it is known that nothing was committed between.
  std::int64_t to_ms = 0;
};

struct Verified {
  Uuid lineage;
  std::size_t bases = 0;  // whole ones
  std::uint64_t commits = 0;
  std::vector<Window> windows;        // any moment of these can be had
  std::vector<std::string> problems;  // what is damaged or missing
  // Between two windows: commits that nobody has shipped, since each backup was made by hand, or
  // the database was in use without one. No damage.
  std::vector<std::string> gaps;
};

using VerifyProgress =
    std::function<void(const std::string& phase, std::uint64_t done, std::uint64_t expected)>;

// Of every lineage, or of one. Throws kInvalid where there is none.
std::vector<Verified> verify(const store::TargetFiles& files, const std::string& target,
                             const std::optional<Uuid>& lineage, const VerifyProgress& progress);

}  // namespace colloquy::backup
