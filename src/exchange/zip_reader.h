// Reads a ZIP archive front to back while it arrives (PKWARE's APPNOTE 6.3): entries that are
// stored or deflated, whose sizes stand before or behind them, also in Zip64. Each entry's length
// and CRC-32 are checked at its end, and that the directory at the end names as many entries as
// there were. Holds the piece that was fed last and one part. Pure; not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/limits.h"

namespace colloquy::exchange {

class ZipReader {
 public:
  struct Limits {
    std::uint64_t entries = 1'000'000;
    // All entries together may unpack to so much, and `ratio` bytes more for each of the archive.
    std::uint64_t unpacked_bytes = 256 * limits::kMiB;
    std::uint64_t ratio = 100;
    std::size_t part_bytes = 64 * limits::kKiB;
  };
  // An entry that is wanted is a kBegin, any number of kBytes and a kEnd: only then was it good.
  struct Part {
    enum class Kind : std::uint8_t { kBegin, kBytes, kEnd };
    Kind kind = Kind::kBegin;
    std::string text;  // the name, or bytes: never none, at most part_bytes
  };
  // What is not wanted is read, and checked, and not given. A name is as it is in the archive,
  // whatever bytes these are. Folders are asked for too.
  using Wanted = std::function<bool(std::string_view name)>;

  ZipReader(Limits limits, Wanted wanted);
  ~ZipReader();
  ZipReader(const ZipReader&) = delete;
  ZipReader& operator=(const ZipReader&) = delete;

  // The next bytes of the archive. Only once next() has no more.
  void feed(std::string_view piece);
  // nullopt: it needs more, or the archive is at its end. Throws Error(kInvalid), in words for the
  // user, where it is damaged, past a limit, or packed in a way that is not read here; nothing may
  // be called after that. What a piece holds of entries that are not wanted, it unpacks in one
  // call.
  std::optional<Part> next();
  // Its directory has come to its end. What follows is passed over.
  bool at_end() const { return state_ == State::kEnded; }

 private:
  enum class State : std::uint8_t {
    kRecord,    // the signature of one, and its head
    kName,      // of an entry, and its extra field
    kStored,    // an entry's bytes
    kDeflated,  //
    kDataEnd,   // of an entry: its sizes, before it or here
    kSkip,      // what is of no interest, then a record
    kEnded,
  };
  struct Entry {
    std::uint16_t flags = 0;
    std::uint16_t method = 0;
    std::uint32_t crc = 0;
    std::uint64_t packed = 0;
    std::uint64_t size = 0;
    std::size_t name_bytes = 0;
    std::size_t extra_bytes = 0;
    // As they are counted:
    std::uint32_t crc_seen = 0;
    std::uint64_t packed_seen = 0;
    std::uint64_t size_seen = 0;
    bool wanted = false;
    bool sizes_follow() const { return (flags & 8U) != 0; }
  };
  struct Inflater;

  // Each returns whether it went on: false, it needs more input.
  bool step();
  bool read_record();
  bool read_entry();
  bool read_name();
  bool read_stored();
  bool read_deflated();
  bool check_sizes();
  bool read_descriptor();
  bool skip();
  bool read_listed();
  bool read_zip64_end();
  bool read_end();

  void read_zip64_sizes(std::string_view extra);
  void begin_data();
  void give(std::string_view bytes);
  void finish_entry();
  // nullopt where there are not so many yet; they stay.
  std::optional<std::string_view> ahead(std::size_t bytes) const;
  void drop(std::size_t bytes);

  const Limits limits_;
  const Wanted wanted_;
  std::string input_;
  std::size_t at_ = 0;          // in it
  std::uint64_t read_ = 0;      // bytes of the archive
  std::uint64_t unpacked_ = 0;  // of all entries
  std::uint64_t entries_ = 0;   // that began
  std::uint64_t listed_ = 0;    // in the directory
  std::uint64_t to_skip_ = 0;
  std::optional<std::uint64_t> zip64_entries_;
  State state_ = State::kRecord;
  Entry entry_;
  std::optional<Part> part_;
  std::unique_ptr<Inflater> inflater_;
  std::string unpacked_part_;
};

}  // namespace colloquy::exchange
