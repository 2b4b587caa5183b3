#include "migrate/progress_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <utility>

#include "base/error.h"
#include "base/file_descriptor.h"

namespace colloquy::migrate {
namespace {

constexpr const char* kFirstLine = "colloquy migrate 1";

Error cannot(const std::string& what, const std::string& path, int error) {
  return unavailable("The progress file cannot be " + what + ".",
                     path + ": " + std::strerror(error));
}

}  // namespace

ProgressFile::ProgressFile(std::string path, std::string from, std::string to, std::int64_t now_s)
    : path_(std::move(path)), from_(std::move(from)), to_(std::move(to)) {
  progress_.begun_at_s = now_s;
  std::error_code ignored;
  if (!std::filesystem::exists(path_, ignored)) return;
  std::ifstream file(path_);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) refuse("cannot be read");
  parse(text.str());
  resumed_ = true;
}

void ProgressFile::refuse(const std::string& why) const {
  throw Error(ErrorCode::kInvalid, "The progress file " + path_ + " " + why +
                                       ": remove it, or name another one with --progress.");
}

void ProgressFile::parse(const std::string& text) {
  std::istringstream lines(text);
  std::string line;
  if (!std::getline(lines, line) || line != kFirstLine) refuse("is not one of this program's");
  std::map<std::string, std::string, std::less<>> values;
  while (std::getline(lines, line)) {
    auto space = line.find(' ');
    if (space == std::string::npos) refuse("is garbled");
    values[line.substr(0, space)] = line.substr(space + 1);
  }
  if (values["from"] != from_ || values["to"] != to_) {
    refuse("is of another move, from " + values["from"] + " to " + values["to"]);
  }
  auto copied = parse_totals(values["copied"]);
  auto compared_from = parse_totals(values["compared-from"]);
  auto compared_to = parse_totals(values["compared-to"]);
  auto begun = parse_totals(values["begun-at"] + " 0 0 0");
  bool known_phase = values["phase"] == "copying" || values["phase"] == "comparing";
  if (!copied || !compared_from || !compared_to || !begun || !known_phase) refuse("is garbled");
  progress_.phase =
      values["phase"] == "copying" ? Progress::Phase::kCopying : Progress::Phase::kComparing;
  progress_.position = values["position"];
  progress_.begun_at_s = static_cast<std::int64_t>(begun->conversations);
  progress_.copied = *copied;
  progress_.from = *compared_from;
  progress_.to = *compared_to;
}

void ProgressFile::save(const Progress& progress) {
  std::string text = std::string(kFirstLine) + "\n";
  text += "from " + from_ + "\nto " + to_ + "\n";
  text += progress.phase == Progress::Phase::kCopying ? "phase copying\n" : "phase comparing\n";
  text += "begun-at " + std::to_string(progress.begun_at_s) + "\n";
  text += "position " + progress.position + "\n";
  text += "copied " + to_line(progress.copied) + "\n";
  text += "compared-from " + to_line(progress.from) + "\n";
  text += "compared-to " + to_line(progress.to) + "\n";
  auto temporary = path_ + ".tmp";
  {
    const FileDescriptor file(
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!file.is_open()) throw cannot("written", temporary, errno);
    const auto failed = write_all(file, text);
    if (failed) throw cannot("written", temporary, failed.value());
    if (::fsync(file.number()) != 0) throw cannot("written", temporary, errno);
  }
  if (std::rename(temporary.c_str(), path_.c_str()) != 0) throw cannot("written", path_, errno);
  // The new name is durable once its folder is.
  auto folder = std::filesystem::absolute(path_).parent_path().string();
  const auto failed = sync_folder(folder);
  if (failed) throw cannot("synced", folder, failed.value());
  progress_ = progress;
}

void ProgressFile::remove() {
  std::error_code failed;
  std::filesystem::remove(path_, failed);
  if (failed) throw cannot("removed", path_, failed.value());
}

}  // namespace colloquy::migrate
