#include "llm/llama/stop_scanner.h"

#include <algorithm>
#include <utility>

namespace colloquy::llm {
namespace {

// How many bytes at the end of the text are the beginning of a stop string, at most.
std::size_t begun_bytes(std::string_view text, std::string_view stop) {
  for (auto size = std::min(text.size(), stop.size() - 1); size > 0; --size) {
    if (text.ends_with(stop.substr(0, size))) return size;
  }
  return 0;
}

}  // namespace

StopScanner::StopScanner(std::vector<std::string> stop) : stop_(std::move(stop)) {
  std::erase_if(stop_, [](const std::string& text) { return text.empty(); });
}

std::string StopScanner::push(std::string_view text) {
  if (stopped_) return {};
  held_ += text;
  std::size_t first = std::string::npos;
  std::size_t begun = 0;
  for (const auto& stop : stop_) {
    first = std::min(first, held_.find(stop));
    begun = std::max(begun, begun_bytes(held_, stop));
  }
  stopped_ = first != std::string::npos;
  std::string shown = held_.substr(0, stopped_ ? first : held_.size() - begun);
  held_.erase(0, shown.size());
  if (stopped_) held_.clear();
  return shown;
}

std::string StopScanner::flush() { return std::exchange(held_, {}); }

}  // namespace colloquy::llm
