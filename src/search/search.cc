#include "search/search.h"

#include <charconv>
namespace colloquy::search {

double recency(std::int64_t at_ms, std::int64_t now_ms) {
  constexpr double kHalfMs = 30.0 * 24 * 60 * 60 * 1000;
  auto age_ms = at_ms < now_ms ? static_cast<double>(now_ms - at_ms) : 0.0;
  return kHalfMs / (kHalfMs + age_ms);
}

Error bad_cursor() { return invalid_field("cursor", "is not one that this server made"); }

std::string encode_cursor(const std::vector<std::uint64_t>& numbers) {
  std::string out;
  for (auto number : numbers) {
    char digits[16];
    auto end = std::to_chars(digits, digits + sizeof digits, number, 16).ptr;
    if (!out.empty()) out.push_back('.');
    out.append(digits, end);
  }
  return out;
}

std::vector<std::uint64_t> decode_cursor(const std::string& cursor, std::size_t count) {
  std::vector<std::uint64_t> numbers;
  const char* at = cursor.data();
  const char* end = at + cursor.size();
  while (numbers.size() < count) {
    std::uint64_t number = 0;
    auto [behind, error] = std::from_chars(at, end, number, 16);
    if (error != std::errc()) break;
    numbers.push_back(number);
    at = behind;
    if (at == end || *at != '.') break;
    ++at;
  }
  if (numbers.size() != count || at != end) throw bad_cursor();
  return numbers;
}

}  // namespace colloquy::search
