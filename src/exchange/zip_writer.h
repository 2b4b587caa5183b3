// A ZIP archive, written front to back without knowing how large anything will be (PKWARE's
// APPNOTE 6.3, with Zip64 throughout): entries are deflated, and their sizes follow them. What
// would make the archive unpack to more than ZipReader takes is stored within the deflated bytes.
// Holds the directory, deflated: some 50 bytes an entry. Not thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

namespace colloquy::exchange {

class ZipWriter {
 public:
  // Appends to `out`, which outlives it and may be emptied at any time.
  explicit ZipWriter(std::string& out);
  ~ZipWriter();
  ZipWriter(const ZipWriter&) = delete;
  ZipWriter& operator=(const ZipWriter&) = delete;

  // `name`: UTF-8, with / between folders; unlike all others. `time_s`: of its last change.
  void begin(std::string name, std::int64_t time_s);
  void add(std::string_view bytes);  // to the entry that was begun
  void end();
  // Appends the next piece of the directory, of some 64 KiB; false: that was the last one. Nothing
  // else after the first call.
  bool finish();

 private:
  struct Entry {
    std::string name;
    std::uint32_t time = 0;  // as MS-DOS has it: date above, time below
    std::uint32_t crc = 0;
    std::uint64_t compressed = 0;
    std::uint64_t size = 0;
    std::uint64_t offset = 0;
  };
  struct Deflater;
  void write(std::string_view bytes);
  void deflate(bool last);
  void pack_as_much_as_may_be(std::size_t more_bytes);
  void list(const Entry& entry);
  void pack_directory();
  void write_end();

  std::string& out_;
  std::uint64_t written_ = 0;
  std::uint64_t unpacked_ = 0;  // of all entries
  Entry entry_;                 // that was begun last
  std::uint64_t entries_ = 0;
  std::string directory_;               // the newest records of it
  std::deque<std::string> older_;       // the ones before, in pieces, deflated
  std::uint64_t directory_offset_ = 0;  // once it has begun
  bool finishing_ = false;
  std::unique_ptr<Deflater> deflater_;
};

}  // namespace colloquy::exchange
