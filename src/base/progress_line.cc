#include "base/progress_line.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ostream>

namespace colloquy {
namespace {

constexpr std::size_t kBarWidth = 30;
constexpr auto kRedrawn = std::chrono::milliseconds(100);
constexpr auto kLinesApart = std::chrono::milliseconds(5'000);

}  // namespace

std::string megabytes(std::uint64_t bytes) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f MB", static_cast<double>(bytes) / 1e6);
  return text.data();
}

std::string share_text(std::uint64_t done, std::uint64_t expected, bool bar) {
  std::string text;
  auto share = std::min(1.0, static_cast<double>(done) / static_cast<double>(expected));
  if (bar) {
    auto filled = static_cast<std::size_t>(share * kBarWidth);
    text += "[" + std::string(filled, '#') + std::string(kBarWidth - filled, '.') + "] ";
  }
  return text + std::to_string(static_cast<int>(share * 100)) + " %";
}

void ProgressLine::begin() { last_ = Clock::now(); }

bool ProgressLine::due() const {
  return Clock::now() - last_ >= (terminal_ ? kRedrawn : kLinesApart);
}

void ProgressLine::show(const std::string& line) {
  write(line);
  if (!terminal_) out_ << '\n';
  out_ << std::flush;
}

void ProgressLine::end(const std::string& line) {
  write(line);
  out_ << std::endl;
}

void ProgressLine::say(const std::string& line) { out_ << line << std::endl; }

void ProgressLine::write(const std::string& line) {
  last_ = Clock::now();
  // Back to the line's beginning, and what is left of a longer one erased (ECMA-48).
  if (terminal_) out_ << "\r\x1b[K";
  out_ << line;
}

}  // namespace colloquy
