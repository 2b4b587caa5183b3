#include "migrate/progress_report.h"

#include <ostream>
#include <utility>

namespace colloquy::migrate {

std::string progress_line(const std::string& phase, const Totals& done, std::uint64_t expected,
                          bool bar) {
  std::string line = phase + ": ";
  if (expected > 0) line += share_text(done.conversations, expected, bar) + ", ";
  return line + std::to_string(done.conversations) + " conversations, " +
         std::to_string(done.messages) + " messages, " + megabytes(done.content_bytes);
}

void ProgressReport::begin(std::string phase, std::uint64_t expected) {
  phase_ = std::move(phase);
  expected_ = expected;
  line_.begin();
}

void ProgressReport::show(const Totals& done) {
  if (line_.due()) line_.show(progress_line(phase_, done, expected_, line_.terminal()));
}

void ProgressReport::end(const Totals& done) {
  line_.end(progress_line(phase_, done, expected_, line_.terminal()));
}

}  // namespace colloquy::migrate
