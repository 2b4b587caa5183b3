// One commit of the embedded store as its log has it.
#pragma once

#include <cstdint>
#include <string>

namespace colloquy::store {

struct Commit {
  std::uint64_t sequence = 0;  // of its first row; each row has the next
  std::uint32_t rows = 0;      // never 0
  std::int64_t time_ms = 0;    // Unix time; 0: it carries none
  std::string batch;           // RocksDB's own form of it

  std::uint64_t last_sequence() const { return sequence + rows - 1; }
  bool operator==(const Commit&) const = default;
};

}  // namespace colloquy::store
