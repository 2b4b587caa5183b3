// A segment of the log as it lies in a backup: commits one after the other, whole and
// for good. Numbers are little-endian:
//
//   8 bytes   "CLQYLOG1"
//   8         length of the segment in bytes
//   16        lineage
//   32        SHA-256 of the batch of the commit before the first; zeros: not known
//   8         how many commits
//   of each commit: 8 sequence, 4 rows, 8 time (Unix milliseconds), 4 length of the batch, the
//   batch 32        SHA-256 of all before it 8         "CLQYEND1"
//
// Half a segment, or one with a changed byte, is told from a whole one by its length
// and its digest. Pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "store/rocksdb/commit.h"

namespace colloquy::backup {

using Digest = std::array<std::uint8_t, 32>;

struct Segment {
  Uuid lineage;
  Digest previous{};                   // of the batch before; zeros: not known
  std::vector<store::Commit> commits;  // never empty; each begins where the one before it ended
  bool operator==(const Segment&) const = default;

  std::uint64_t first_sequence() const { return commits.front().sequence; }
  std::uint64_t last_sequence() const { return commits.back().last_sequence(); }
};

Digest digest_of(const store::Commit& commit);

std::string encode(const Segment& segment);
// Throws Error(kMalformed) that says what is wrong: a segment that was not written whole, or was
// changed since. Never reads outside the text.
Segment decode(std::string_view text);

}  // namespace colloquy::backup
