#include "migrate/progress_report.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ostream>
#include <utility>

namespace colloquy::migrate {
namespace {

constexpr std::size_t kBarWidth = 30;
constexpr auto kRedrawn = std::chrono::milliseconds(100);
constexpr auto kLinesApart = std::chrono::milliseconds(5'000);

std::string megabytes(std::uint64_t bytes) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f MB", static_cast<double>(bytes) / 1e6);
  return text.data();
}

}  // namespace

std::string progress_line(const std::string& phase, const Totals& done, std::uint64_t expected,
                          bool bar) {
  std::string line = phase + ": ";
  if (expected > 0) {
    // What is expected may be an old count.
    auto share =
        std::min(1.0, static_cast<double>(done.conversations) / static_cast<double>(expected));
    if (bar) {
      auto filled = static_cast<std::size_t>(share * kBarWidth);
      line += "[" + std::string(filled, '#') + std::string(kBarWidth - filled, '.') + "] ";
    }
    line += std::to_string(static_cast<int>(share * 100)) + " %, ";
  }
  return line + std::to_string(done.conversations) + " conversations, " +
         std::to_string(done.messages) + " messages, " + megabytes(done.content_bytes);
}

void ProgressReport::begin(std::string phase, std::uint64_t expected) {
  phase_ = std::move(phase);
  expected_ = expected;
  last_ = Clock::now();
}

void ProgressReport::show(const Totals& done) {
  if (Clock::now() - last_ < (terminal_ ? kRedrawn : kLinesApart)) return;
  write(done);
  if (!terminal_) out_ << '\n';
  out_ << std::flush;
}

void ProgressReport::end(const Totals& done) {
  write(done);
  out_ << std::endl;
}

void ProgressReport::say(const std::string& line) { out_ << line << std::endl; }

void ProgressReport::write(const Totals& done) {
  last_ = Clock::now();
  // Back to the line's beginning, and what is left of a longer one erased (ECMA-48).
  if (terminal_) out_ << "\r\x1b[K";
  out_ << progress_line(phase_, done, expected_, terminal_);
}

}  // namespace colloquy::migrate
