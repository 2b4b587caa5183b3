// Checks RocksDB's logs (its write-ahead logs and its manifest) before RocksDB
// replays them, because it takes some damage in the middle for the end of the log
// and would drop what follows without a word.
//
// A crash can only tear the last record: every record is synced before the next is
// written, so a complete record behind a bad one means damage. So does a last record
// that is all there and has the wrong checksum, unless a whole sector of it is
// zeros, that is, was never written. Format: RocksDB wiki, "Write Ahead Log File
// Format" (the same as LevelDB's doc/log_format.md).
#pragma once

#include <rocksdb/file_system.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace colloquy::store {

struct LogCheck {
  enum class Verdict : std::uint8_t { kWhole, kTornTail, kDamaged };
  Verdict verdict = Verdict::kWhole;
  std::uint64_t good_bytes = 0;  // up to the end of the last record that is whole
  std::uint64_t bad_offset = 0;  // where the first bad one begins
};

// Of the bytes of one log.
LogCheck check_log(std::string_view log);

// Checks the manifest in use and every log in `folder`. A torn tail is cut off; damage throws
// Error(kInternal) that names the file. Nothing to do where there is no database yet.
void check_logs(rocksdb::FileSystem& files, const std::string& folder);

}  // namespace colloquy::store
