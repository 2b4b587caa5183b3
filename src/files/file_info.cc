#include "files/file_info.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/sha256.h"
#include "base/text.h"

namespace colloquy::files {
namespace {

constexpr std::size_t kTagBytes = 16;

bool contains(const std::vector<std::string>& tags, const std::string& tag) {
  return std::find(tags.begin(), tags.end(), tag) != tags.end();
}

}  // namespace

FileInfo info_of(std::string path, const struct stat& found) {
  const std::array<std::int64_t, 6> facts = {static_cast<std::int64_t>(found.st_ino),
                                             static_cast<std::int64_t>(found.st_size),
                                             found.st_mtim.tv_sec,
                                             found.st_mtim.tv_nsec,
                                             found.st_ctim.tv_sec,
                                             found.st_ctim.tv_nsec};
  const std::string_view bytes(reinterpret_cast<const char*>(facts.data()), sizeof facts);
  const auto digest = sha256({bytes});
  FileInfo info;
  info.path = std::move(path);
  info.bytes = static_cast<std::uint64_t>(found.st_size);
  info.tag = to_hex(bytes_of(digest).substr(0, kTagBytes));
  info.modified_s = found.st_mtim.tv_sec;
  return info;
}

bool is_servable(const struct stat& found) { return S_ISREG(found.st_mode) && found.st_nlink <= 1; }

bool Precondition::holds_for(const std::optional<FileInfo>& found) const {
  if (exists && !found) return false;
  if (missing && found) return false;
  if (one_of && (!found || !contains(*one_of, found->tag))) return false;
  if (none_of && found && contains(*none_of, found->tag)) return false;
  // RFC 9110, 13.1.4: only where there is no If-Match, and only of what is there.
  const bool dated = unmodified_since_s && !exists && !one_of;
  return !dated || !found || found->modified_s <= *unmodified_since_s;
}

}  // namespace colloquy::files
