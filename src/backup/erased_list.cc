#include "backup/erased_list.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/limits.h"
#include "base/parse_number.h"
#include "base/read_file.h"

namespace colloquy::backup {
namespace {

constexpr std::size_t kNameDigits = 64;
constexpr std::size_t kFileBytes = 256 * limits::kMiB;

std::string folder_of(const std::string& target) { return target + "/erased"; }

std::string file_of(const store::ErasedUser& erased) {
  return erased.user_sha256 + "-" + std::to_string(erased.at_ms);
}

bool is_hexadecimal(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// NAME, one character, TIME.
std::optional<store::ErasedUser> parse(std::string_view text) {
  if (text.size() < kNameDigits + 2 || !is_hexadecimal(text.substr(0, kNameDigits))) {
    return std::nullopt;
  }
  const auto at_ms = parse_number<std::int64_t>(text.substr(kNameDigits + 1));
  if (!at_ms) return std::nullopt;
  store::ErasedUser erased;
  erased.user_sha256 = text.substr(0, kNameDigits);
  erased.at_ms = *at_ms;
  return erased;
}

}  // namespace

void ErasedList::add(const store::ErasedUser& erased) {
  auto& last = last_[erased.user_sha256];
  last = std::max(last, erased.at_ms);
}

void ErasedList::read_target(const store::TargetFiles& files, const std::string& target) {
  for (const auto& name : files.list(folder_of(target))) {
    if (auto erased = parse(name)) add(*erased);
  }
}

void ErasedList::read_file(const std::string& path) {
  const std::string text = colloquy::read_file(path, kFileBytes).text;
  std::string_view rest(text);
  while (!rest.empty()) {
    const auto end = std::min(rest.find('\n'), rest.size());
    auto line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.empty()) continue;
    const auto erased = parse(line);
    if (!erased) {
      throw Error(ErrorCode::kInvalid, "A line of " + path + " names no erased user: \"" +
                                           std::string(line.substr(0, 100)) + "\"");
    }
    add(*erased);
  }
}

bool ErasedList::erased_after(const UserId& user, std::int64_t time_ms) const {
  const auto found = last_.find(store::erased_name(user));
  return found != last_.end() && found->second > time_ms;
}

bool ErasedList::has(const store::ErasedUser& erased) const {
  const auto found = last_.find(erased.user_sha256);
  return found != last_.end() && found->second >= erased.at_ms;
}

std::vector<store::ErasedUser> ErasedList::users() const {
  std::vector<store::ErasedUser> all;
  all.reserve(last_.size());
  for (const auto& [name, at_ms] : last_) all.push_back({name, at_ms});
  return all;
}

void note_erased(store::TargetFiles& files, const std::string& target,
                 const store::ErasedUser& erased) {
  if (is_noted(files, target, erased)) return;
  const auto name = file_of(erased);
  files.make_folder(folder_of(target));
  files.write_new(folder_of(target) + "/" + name, name + "\n");
}

bool is_noted(const store::TargetFiles& files, const std::string& target,
              const store::ErasedUser& erased) {
  return files.exists(folder_of(target) + "/" + file_of(erased));
}

}  // namespace colloquy::backup
