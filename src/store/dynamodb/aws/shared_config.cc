#include "store/dynamodb/aws/shared_config.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>

#include "base/text.h"
#include "store/dynamodb/aws/credentials.h"

namespace colloquy::aws {
namespace {

constexpr std::string_view kWhiteSpace = " \t\r";

enum class FileKind { kConfig, kCredentials };

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(kWhiteSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kWhiteSpace) - begin + 1);
}

bool comment_start(char c) { return c == '#' || c == ';'; }

// Up to a comment, which begins after white space.
std::string_view without_comment(std::string_view value) {
  for (std::size_t i = 1; i < value.size(); ++i) {
    const bool after_space = value[i - 1] == ' ' || value[i - 1] == '\t';
    if (after_space && comment_start(value[i])) return trimmed(value.substr(0, i));
  }
  return value;
}

// The profile of a section's header; empty for a section of another kind.
std::string section_profile(std::string_view header, FileKind kind) {
  if (kind == FileKind::kCredentials || header == "default") return std::string(header);
  static constexpr std::string_view kPrefix = "profile";
  if (!header.starts_with(kPrefix)) return {};
  std::string_view name = header.substr(kPrefix.size());
  if (name.empty() || kWhiteSpace.find(name.front()) == std::string_view::npos) return {};
  name = trimmed(name);
  if (name.size() >= 2 && (name.front() == '"' || name.front() == '\'') &&
      name.back() == name.front()) {
    name = name.substr(1, name.size() - 2);
  }
  return std::string(name);
}

class FileParser {
 public:
  FileParser(std::string path, FileKind kind, std::map<std::string, Profile, std::less<>>& into)
      : path_(std::move(path)), kind_(kind), into_(into) {}

  void parse(std::string_view text) {
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    while (!text.empty()) {
      const auto end = std::min(text.find('\n'), text.size());
      ++line_number_;
      line(text.substr(0, end));
      text.remove_prefix(std::min(end + 1, text.size()));
    }
  }

 private:
  [[noreturn]] void refuse(const std::string& reason) const {
    throw provider_failure("file " + path_, "line " + std::to_string(line_number_) + " " + reason);
  }

  void line(std::string_view raw) {
    const auto text = trimmed(raw);
    if (text.empty() || comment_start(text.front())) return;
    const std::size_t indent = raw.find_first_not_of(kWhiteSpace);
    if (text.front() == '[') return section(text);
    if (!in_section_) refuse("stands before any section");
    // A setting of settings, such as those of `s3`, which nothing here asks for.
    if (indent > setting_indent_) return;
    const auto equals = text.find('=');
    const auto name = trimmed(text.substr(0, std::min(equals, text.size())));
    if (equals == std::string_view::npos || name.empty()) refuse("is no setting");
    setting_indent_ = indent;
    if (profile_.empty()) return;
    into_[profile_].insert_or_assign(
        ascii_lower(std::string(name)),
        std::string(without_comment(trimmed(text.substr(equals + 1)))));
  }

  void section(std::string_view text) {
    const auto end = text.find(']');
    if (end == std::string_view::npos) refuse("begins a section and does not end it");
    const auto rest = trimmed(text.substr(end + 1));
    if (!rest.empty() && !comment_start(rest.front())) refuse("goes on after a section's name");
    in_section_ = true;
    setting_indent_ = std::string_view::npos;
    profile_ = section_profile(trimmed(text.substr(1, end - 1)), kind_);
    if (!profile_.empty()) into_[profile_];
  }

  const std::string path_;
  const FileKind kind_;
  std::map<std::string, Profile, std::less<>>& into_;
  std::size_t line_number_ = 0;
  bool in_section_ = false;
  std::size_t setting_indent_ = std::string_view::npos;  // of the last one; npos: none yet
  std::string profile_;                                  // empty within a section of another kind
};

// nullopt when there is no home to look in.
std::optional<std::string> file_path(const Environment& environment, const char* variable,
                                     const char* under_home) {
  const auto home = environment.get("HOME");
  auto given = environment.get(variable);
  if (given && !given->starts_with("~/")) return given;
  if (!home) return std::nullopt;
  return *home + "/" + (given ? given->substr(2) : std::string(under_home));
}

}  // namespace

std::string setting(const Profile& profile, std::string_view name) {
  const auto found = profile.find(name);
  return found == profile.end() ? std::string() : found->second;
}

SharedConfig SharedConfig::load(const Environment& environment) {
  struct Source {
    FileKind kind;
    const char* variable;
    const char* under_home;
  };
  SharedConfig config;
  for (const auto& source :
       {Source{FileKind::kConfig, "AWS_CONFIG_FILE", ".aws/config"},
        Source{FileKind::kCredentials, "AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"}}) {
    const auto path = file_path(environment, source.variable, source.under_home);
    const auto text = path ? environment.file(*path) : std::nullopt;
    if (text) FileParser(*path, source.kind, config.profiles_).parse(*text);
  }
  return config;
}

const Profile* SharedConfig::find(std::string_view profile_name) const {
  const auto found = profiles_.find(profile_name);
  return found == profiles_.end() ? nullptr : &found->second;
}

std::string profile_name(const Environment& environment) {
  return environment.get("AWS_PROFILE").value_or("default");
}

}  // namespace colloquy::aws
