// Tells a person who waits how far something has come: one line that is drawn again
// and again on a terminal, elsewhere a line every few seconds. For one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <string>

namespace colloquy {

// "50 %", and before it a bar. `expected`: in all, more than 0; may be an old count.
std::string share_text(std::uint64_t done, std::uint64_t expected, bool bar);
std::string megabytes(std::uint64_t bytes);

class ProgressLine {
 public:
  ProgressLine(std::ostream& out, bool terminal) : out_(out), terminal_(terminal) {}

  bool terminal() const { return terminal_; }
  // Something begins of which there is nothing to say yet.
  void begin();
  // Whether it is time to show something.
  bool due() const;
  void show(const std::string& line);
  // Shows it, and ends the line.
  void end(const std::string& line);
  // A line of its own.
  void say(const std::string& line);

 private:
  using Clock = std::chrono::steady_clock;
  void write(const std::string& line);

  std::ostream& out_;
  const bool terminal_;
  Clock::time_point last_;
};

}  // namespace colloquy
