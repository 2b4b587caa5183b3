// How far a move has come, in a file: lines of a name and a value. Written whole and synced each
// time, so that a process that is killed at any point leaves the last state or the one before it.
// For one thread; blocks on the disk.
#pragma once

#include <cstdint>
#include <string>

#include "migrate/totals.h"

namespace colloquy::migrate {

struct Progress {
  enum class Phase : std::uint8_t { kCopying, kComparing };
  Phase phase = Phase::kCopying;
  std::string position;         // of the phase: where its next page begins
  std::int64_t begun_at_s = 0;  // what had expired by then is not moved
  Totals copied;                // without the checksum
  Totals from;                  // compared so far
  Totals to;
  bool operator==(const Progress&) const = default;
};

class ProgressFile {
 public:
  // `from` and `to` name both sides, in one line each. Takes up what the file holds; begins anew,
  // at `now_s`, where there is none. Throws kInvalid that names the file when it cannot be read, is
  // none of ours, or belongs to another move.
  ProgressFile(std::string path, std::string from, std::string to, std::int64_t now_s);

  const Progress& progress() const { return progress_; }
  bool resumed() const { return resumed_; }
  // Throws kUnavailable.
  void save(const Progress& progress);
  // The move is over.
  void remove();

 private:
  void parse(const std::string& text);
  [[noreturn]] void refuse(const std::string& why) const;

  const std::string path_;
  const std::string from_;
  const std::string to_;
  Progress progress_;
  bool resumed_ = false;
};

}  // namespace colloquy::migrate
