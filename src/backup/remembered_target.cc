#include "backup/remembered_target.h"

#include <cstddef>
#include <filesystem>
#include <system_error>

#include "backup/target.h"
#include "base/error.h"
#include "base/file_descriptor.h"
#include "base/read_file.h"
#include "store/rocksdb/target_files.h"

namespace colloquy::backup {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFileBytes = std::size_t{64} * 1024;

}  // namespace

// LINEAGE, a space, TARGET, a line feed; a target may have both in its name.
std::optional<RememberedTarget> read_remembered_target(const std::string& file) {
  std::string text;
  try {
    text = read_file(file, kFileBytes).text;
  } catch (const Error&) {
    return std::nullopt;
  }
  const auto space = text.find(' ');
  if (space == std::string::npos || text.back() != '\n') return std::nullopt;
  const auto lineage = parse_lineage(text.substr(0, space));
  if (!lineage) return std::nullopt;
  return RememberedTarget{text.substr(space + 1, text.size() - space - 2), *lineage};
}

void remember_target(const std::string& file, const RememberedTarget& remembered) {
  if (read_remembered_target(file) == remembered) return;
  const auto fresh = file + ".new";
  store::TargetFiles files;
  files.remove(fresh);
  files.write_new(fresh, lineage_name(remembered.lineage) + " " + remembered.target + "\n");
  std::error_code failed;
  fs::rename(fresh, file, failed);
  if (!failed) failed = sync_folder(fs::path(file).parent_path());
  if (failed)
    throw unavailable("The data folder cannot be written.", file + ": " + failed.message());
}

}  // namespace colloquy::backup
