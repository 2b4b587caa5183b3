#include "store/rocksdb/log_check.h"

#include <algorithm>
#include <boost/crc.hpp>
#include <memory>
#include <vector>

#include "base/error.h"
#include "store/rocksdb/status.h"
#include "telemetry/log.h"

namespace colloquy::store {
namespace {

constexpr std::size_t kBlock = std::size_t{32} * 1024;
constexpr std::size_t kHeader = 7;  // checksum 4, length 2, type 1
constexpr std::size_t kSector = 512;

enum RecordType : std::uint8_t { kFull = 1, kFirst = 2, kMiddle = 3, kLast = 4 };

struct Header {
  std::uint32_t checksum = 0;
  std::size_t length = 0;
  std::uint8_t type = 0;
};

std::uint8_t byte_at(std::string_view log, std::size_t at) {
  return static_cast<std::uint8_t>(log[at]);
}

Header header_at(std::string_view log, std::size_t at) {
  Header header;
  for (std::size_t i = 0; i < 4; ++i) {
    header.checksum |= static_cast<std::uint32_t>(byte_at(log, at + i)) << (8 * i);
  }
  header.length = byte_at(log, at + 4) | static_cast<std::size_t>(byte_at(log, at + 5)) << 8;
  header.type = byte_at(log, at + 6);
  return header;
}

// CRC-32C of the type and the payload, masked as LevelDB does.
bool checksum_holds(std::string_view log, std::size_t at, const Header& header) {
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
  crc.process_bytes(log.data() + at + kHeader - 1, header.length + 1);
  std::uint32_t sum = crc.checksum();
  return ((sum >> 15) | (sum << 17)) + 0xa282ead8U == header.checksum;
}

// Bytes from `at` to the end of its block or of the log.
std::size_t room_at(std::string_view log, std::size_t at) {
  return std::min(kBlock - at % kBlock, log.size() - at);
}

bool record_holds(std::string_view log, std::size_t at, const Header& header) {
  return header.type >= kFull && header.type <= kLast &&
         kHeader + header.length <= room_at(log, at) && checksum_holds(log, at, header);
}

// Is there a whole record that begins behind `at`? Tried at every byte, because a damaged length
// leaves nothing else to go by.
bool record_begins_after(std::string_view log, std::size_t at) {
  for (std::size_t next = at + 1; next + kHeader <= log.size(); ++next) {
    auto type = byte_at(log, next + kHeader - 1);
    if (type != kFull && type != kFirst) continue;
    if (kBlock - next % kBlock < kHeader) continue;
    if (record_holds(log, next, header_at(log, next))) return true;
  }
  return false;
}

bool has_unwritten_sector(std::string_view log, std::size_t begin, std::size_t end) {
  while (begin < end) {
    auto sector_end = std::min(end, (begin / kSector + 1) * kSector);
    auto part = log.substr(begin, sector_end - begin);
    if (std::all_of(part.begin(), part.end(), [](char c) { return c == 0; })) return true;
    begin = sector_end;
  }
  return false;
}

// Is the last record, which is bad at `at`, one that a crash can leave behind?
bool torn_at(std::string_view log, std::size_t at) {
  auto room = room_at(log, at);
  if (room < kHeader) return true;
  auto header = header_at(log, at);
  bool fits = kHeader + header.length <= room;
  if (!fits && header.type >= kFull && header.type <= kLast) {
    // Cut off, or all there with a damaged length?
    auto whole = header;
    whole.length = room - kHeader;
    if (checksum_holds(log, at, whole)) return false;
    if (room == log.size() - at && header.length + kHeader <= kBlock - at % kBlock) return true;
  }
  return has_unwritten_sector(log, at, fits ? at + kHeader + header.length : at + room);
}

LogCheck bad_at(std::string_view log, std::size_t good, std::size_t at) {
  bool damaged = record_begins_after(log, at) || !torn_at(log, at);
  return {damaged ? LogCheck::Verdict::kDamaged : LogCheck::Verdict::kTornTail, good, at};
}

// CURRENT holds the manifest's name and a newline.
std::optional<std::string> manifest_name(rocksdb::FileSystem& files, const std::string& folder) {
  std::string name;
  auto path = folder + "/CURRENT";
  if (!files.FileExists(path, rocksdb::IOOptions(), nullptr).ok()) return std::nullopt;
  check(rocksdb::ReadFileToString(&files, path, &name), "reading " + path);
  if (!name.ends_with('\n') || !name.starts_with("MANIFEST-")) {
    throw internal_error(path + " does not name a manifest");
  }
  name.pop_back();
  return name;
}

// Durably, and either wholly or not at all. RocksDB removes a left-over `.dbtmp`.
void replace_file(rocksdb::FileSystem& files, const std::string& path,
                  const std::string& contents) {
  auto doing = "mending " + path;
  auto temporary = path + ".dbtmp";
  check(rocksdb::WriteStringToFile(&files, contents, temporary, true), doing);
  check(files.RenameFile(temporary, path, rocksdb::IOOptions(), nullptr), doing);
  std::unique_ptr<rocksdb::FSDirectory> folder;
  auto name = path.substr(0, path.rfind('/'));
  check(files.NewDirectory(name, rocksdb::IOOptions(), &folder, nullptr), doing);
  check(folder->Fsync(rocksdb::IOOptions(), nullptr), doing);
}

void check_file(rocksdb::FileSystem& files, const std::string& path, bool newest) {
  std::string log;
  check(rocksdb::ReadFileToString(&files, path, &log), "reading " + path);
  auto result = check_log(log);
  if (result.verdict == LogCheck::Verdict::kDamaged) {
    throw internal_error(path + " is damaged at byte " + std::to_string(result.bad_offset));
  }
  // A log that is not the newest was whole, or its torn end was never acknowledged and is unused.
  if (result.verdict == LogCheck::Verdict::kWhole || !newest) return;
  telemetry::log_warning("store.torn_log_tail",
                         {{"file", path},
                          {"kept_bytes", result.good_bytes},
                          {"dropped_bytes", log.size() - result.good_bytes}});
  log.resize(result.good_bytes);
  replace_file(files, path, log);
}

}  // namespace

LogCheck check_log(std::string_view log) {
  std::size_t good = 0;
  std::size_t at = 0;
  bool inside = false;  // between the first and the last fragment of a record
  while (at < log.size()) {
    auto block_left = kBlock - at % kBlock;
    if (block_left < kHeader) {
      at += block_left;
      continue;
    }
    if (log.size() - at < kHeader) return bad_at(log, good, at);
    auto header = header_at(log, at);
    if (!record_holds(log, at, header)) return bad_at(log, good, at);
    bool begins = header.type == kFull || header.type == kFirst;
    if (begins == inside) return {LogCheck::Verdict::kDamaged, good, at};
    inside = header.type == kFirst || header.type == kMiddle;
    at += kHeader + header.length;
    if (!inside) good = at;
  }
  if (inside) return {LogCheck::Verdict::kTornTail, good, log.size()};
  return {LogCheck::Verdict::kWhole, good, log.size()};
}

void check_logs(rocksdb::FileSystem& files, const std::string& folder) {
  if (!files.FileExists(folder, rocksdb::IOOptions(), nullptr).ok()) return;
  auto manifest = manifest_name(files, folder);
  if (!manifest) return;
  auto manifest_path = folder + "/" + *manifest;
  if (!files.FileExists(manifest_path, rocksdb::IOOptions(), nullptr).ok()) {
    throw internal_error(folder + "/CURRENT names " + *manifest + ", which is not there");
  }
  check_file(files, manifest_path, true);
  std::vector<std::string> names;
  check(files.GetChildren(folder, rocksdb::IOOptions(), &names, nullptr), "listing " + folder);
  std::erase_if(names, [](const std::string& name) { return !name.ends_with(".log"); });
  // Six digits with zeros in front, or more digits later on: longer is newer.
  std::sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {
    return a.size() != b.size() ? a.size() < b.size() : a < b;
  });
  for (const auto& name : names) {
    check_file(files, folder + "/" + name, name == names.back());
  }
}

}  // namespace colloquy::store
