// Tells a person who waits how far a move has come: a bar that is drawn again and again on a
// terminal, elsewhere a line every few seconds. For one thread.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>

#include "base/progress_line.h"
#include "migrate/totals.h"

namespace colloquy::migrate {

// One line without its end. `expected`: conversations in all, 0: not known.
std::string progress_line(const std::string& phase, const Totals& done, std::uint64_t expected,
                          bool bar);

class ProgressReport {
 public:
  ProgressReport(std::ostream& out, bool terminal) : line_(out, terminal) {}

  // What is being done from now on, and of how many conversations in all.
  void begin(std::string phase, std::uint64_t expected);
  // Writes when it is time to.
  void show(const Totals& done);
  // Writes the last state, and ends the line.
  void end(const Totals& done);
  // A line of its own.
  void say(const std::string& line) { line_.say(line); }

 private:
  ProgressLine line_;
  std::string phase_;
  std::uint64_t expected_ = 0;
};

}  // namespace colloquy::migrate
