#include "search/index_files.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string_view>

#include "base/parse_number.h"

namespace colloquy::search::index_files {
namespace {

namespace fs = std::filesystem;

std::optional<std::uint64_t> number_in(std::string_view name) {
  constexpr std::string_view kBegin = "index-";
  constexpr std::string_view kEnd = ".db";
  if (!name.starts_with(kBegin) || !name.ends_with(kEnd)) return std::nullopt;
  name.remove_prefix(kBegin.size());
  name.remove_suffix(kEnd.size());
  return parse_number<std::uint64_t>(name);
}

}  // namespace

std::string path_of(const std::string& folder, std::uint64_t number) {
  return (fs::path(folder) / ("index-" + std::to_string(number) + ".db")).string();
}

std::vector<std::uint64_t> numbers_in(const std::string& folder) {
  std::vector<std::uint64_t> numbers;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (auto number = number_in(entry.path().filename().string())) numbers.push_back(*number);
  }
  std::sort(numbers.rbegin(), numbers.rend());
  return numbers;
}

void remove(const std::string& path) {
  std::error_code ignored;
  for (const char* suffix : {"", "-wal", "-shm"}) fs::remove(path + suffix, ignored);
}

void remove_all(const std::string& folder) {
  std::error_code ignored;
  if (!fs::exists(folder, ignored)) return;
  for (auto number : numbers_in(folder)) remove(path_of(folder, number));
  fs::remove(folder, ignored);  // refused where something else is in it
}

}  // namespace colloquy::search::index_files
