#include "exchange/zip_writer.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <utility>

#include "base/error.h"
#include "base/limits.h"
#include "exchange/zip_reader.h"

namespace colloquy::exchange {
namespace {

constexpr std::uint16_t kVersion = 45;              // Zip64
constexpr std::uint16_t kFlags = 1 << 3 | 1 << 11;  // sizes follow; the name is UTF-8
constexpr std::uint16_t kDeflated = 8;
constexpr std::uint16_t kZip64 = 1;
constexpr std::uint32_t kSeeZip64 = 0xffffffff;
constexpr std::uint16_t kUnixMade = 3 << 8;
constexpr std::uint32_t kPlainFile = 0100644U << 16U;
constexpr std::size_t kDirectoryPieceBytes = 64 * limits::kKiB;
constexpr std::size_t kRecordBytesMost = 74 + 0xffff;  // with the longest name

// So that whoever reads the archive as it comes is always within the bound, by half. Below the
// first of the two all is packed: the beginning of an archive says little.
constexpr std::uint64_t kPackedFreelyBytes = limits::kMiB;
constexpr std::uint64_t kRatioMost = 50;
constexpr ZipReader::Limits kReadable;
static_assert(2 * kRatioMost <= kReadable.ratio);
static_assert(2 * kPackedFreelyBytes <= kReadable.unpacked_bytes);
// What is packed, or stored, at a time.
constexpr std::size_t kPackedAtOnceBytes = 64 * limits::kKiB;

// Low byte first.
template <class Number>
void put(std::string& out, Number number) {
  auto value = static_cast<std::uint64_t>(number);
  for (std::size_t i = 0; i < sizeof(Number); ++i) {
    out.push_back(static_cast<char>(value & 0xffU));
    value >>= 8U;
  }
}

// In UTC, since 1980, in steps of two seconds.
std::uint32_t dos_time(std::int64_t time_s) {
  auto seconds = static_cast<std::time_t>(time_s);
  std::tm parts{};
  if (gmtime_r(&seconds, &parts) == nullptr || parts.tm_year < 80 || parts.tm_year > 207) {
    return 1U << 21U | 1U << 16U;
  }
  auto date = static_cast<std::uint32_t>((parts.tm_year - 80) << 9 | (parts.tm_mon + 1) << 5 |
                                         parts.tm_mday);
  auto clock = static_cast<std::uint32_t>(parts.tm_hour << 11 | parts.tm_min << 5 |
                                          std::min(parts.tm_sec, 59) / 2);
  return date << 16U | clock;
}

}  // namespace

struct ZipWriter::Deflater {
  Deflater() {
    // Raw: a ZIP has its own frame.
    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
      throw internal_error("zlib cannot begin");
    }
  }
  ~Deflater() { deflateEnd(&stream); }
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;
  z_stream stream{};
  int level = Z_DEFAULT_COMPRESSION;
};

ZipWriter::ZipWriter(std::string& out) : out_(out) {}
ZipWriter::~ZipWriter() = default;

void ZipWriter::write(std::string_view bytes) {
  out_ += bytes;
  written_ += bytes.size();
}

void ZipWriter::begin(std::string name, std::int64_t time_s) {
  Entry entry;
  entry.name = std::move(name);
  entry.time = dos_time(time_s);
  entry.offset = written_;
  std::string header;
  put(header, std::uint32_t{0x04034b50});
  put(header, kVersion);
  put(header, kFlags);
  put(header, kDeflated);
  put(header, entry.time);
  put(header, std::uint32_t{0});
  put(header, kSeeZip64);
  put(header, kSeeZip64);
  put(header, static_cast<std::uint16_t>(entry.name.size()));
  put(header, std::uint16_t{20});
  header += entry.name;
  put(header, kZip64);
  put(header, std::uint16_t{16});
  put(header, std::uint64_t{0});
  put(header, std::uint64_t{0});
  write(header);
  entry.crc = static_cast<std::uint32_t>(crc32(0, nullptr, 0));
  entry_ = std::move(entry);
  ++entries_;
  deflater_ = std::make_unique<Deflater>();
}

void ZipWriter::deflate(bool last) {
  std::array<char, 16 * limits::kKiB> buffer{};
  auto& stream = deflater_->stream;
  int result = Z_OK;
  do {
    stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
    stream.avail_out = static_cast<uInt>(buffer.size());
    result = ::deflate(&stream, last ? Z_FINISH : Z_NO_FLUSH);
    auto made = buffer.size() - stream.avail_out;
    entry_.compressed += made;
    write(std::string_view(buffer.data(), made));
  } while (stream.avail_out == 0 && result != Z_STREAM_END);
}

// Chooses between packing and storing for what comes next.
void ZipWriter::pack_as_much_as_may_be(std::size_t more_bytes) {
  const bool packs = unpacked_ + more_bytes <= kPackedFreelyBytes + kRatioMost * written_;
  const int level = packs ? Z_DEFAULT_COMPRESSION : Z_NO_COMPRESSION;
  if (level == deflater_->level) return;
  deflater_->level = level;
  // What was added before is written out first, at the level that it was added for.
  std::array<char, 16 * limits::kKiB> buffer{};
  auto& stream = deflater_->stream;
  stream.avail_in = 0;
  int result = Z_OK;
  do {
    stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
    stream.avail_out = static_cast<uInt>(buffer.size());
    result = deflateParams(&stream, level, Z_DEFAULT_STRATEGY);
    const auto made = buffer.size() - stream.avail_out;
    entry_.compressed += made;
    write(std::string_view(buffer.data(), made));
  } while (result == Z_BUF_ERROR);
  if (result != Z_OK) throw internal_error("zlib cannot change its level");
}

void ZipWriter::add(std::string_view bytes) {
  auto& entry = entry_;
  entry.size += bytes.size();
  while (!bytes.empty()) {
    auto piece = bytes.substr(0, kPackedAtOnceBytes);
    bytes.remove_prefix(piece.size());
    pack_as_much_as_may_be(piece.size());
    unpacked_ += piece.size();
    const auto* data = reinterpret_cast<const Bytef*>(piece.data());
    entry.crc = static_cast<std::uint32_t>(crc32(entry.crc, data, static_cast<uInt>(piece.size())));
    auto& stream = deflater_->stream;
    stream.next_in =
        const_cast<Bytef*>(data);  // NOLINT(cppcoreguidelines-pro-type-const-cast): zlib
    stream.avail_in = static_cast<uInt>(piece.size());
    deflate(false);
  }
}

void ZipWriter::end() {
  deflater_->stream.avail_in = 0;
  deflate(true);
  deflater_.reset();
  std::string sizes;
  put(sizes, std::uint32_t{0x08074b50});
  put(sizes, entry_.crc);
  put(sizes, entry_.compressed);
  put(sizes, entry_.size);
  write(sizes);
  list(entry_);
}

void ZipWriter::list(const Entry& entry) {
  auto& record = directory_;
  put(record, std::uint32_t{0x02014b50});
  put(record, static_cast<std::uint16_t>(kUnixMade | kVersion));
  put(record, kVersion);
  put(record, kFlags);
  put(record, kDeflated);
  put(record, entry.time);
  put(record, entry.crc);
  put(record, kSeeZip64);
  put(record, kSeeZip64);
  put(record, static_cast<std::uint16_t>(entry.name.size()));
  put(record, std::uint16_t{28});
  put(record, std::uint16_t{0});  // no comment
  put(record, std::uint16_t{0});  // of the first disk
  put(record, std::uint16_t{0});
  put(record, kPlainFile);
  put(record, kSeeZip64);
  record += entry.name;
  put(record, kZip64);
  put(record, std::uint16_t{24});
  put(record, entry.size);
  put(record, entry.compressed);
  put(record, entry.offset);
  if (directory_.size() >= kDirectoryPieceBytes) pack_directory();
}

void ZipWriter::pack_directory() {
  auto bytes = static_cast<uLong>(directory_.size());
  uLongf packed_bytes = compressBound(bytes);
  std::string packed(packed_bytes, '\0');
  const auto* from = reinterpret_cast<const Bytef*>(directory_.data());
  auto result = compress(reinterpret_cast<Bytef*>(packed.data()), &packed_bytes, from, bytes);
  if (result != Z_OK) throw internal_error("zlib cannot pack a directory");
  packed.resize(packed_bytes);
  packed.shrink_to_fit();
  older_.push_back(std::move(packed));
  directory_.clear();
}

bool ZipWriter::finish() {
  if (!finishing_) directory_offset_ = written_;
  finishing_ = true;
  if (older_.empty()) {
    write(directory_);
    write_end();
    return false;
  }
  const auto& packed = older_.front();
  std::string piece(kDirectoryPieceBytes + kRecordBytesMost, '\0');
  auto bytes = static_cast<uLongf>(piece.size());
  auto result = uncompress(reinterpret_cast<Bytef*>(piece.data()), &bytes,
                           reinterpret_cast<const Bytef*>(packed.data()), packed.size());
  if (result != Z_OK) throw internal_error("zlib cannot unpack a directory");
  write(std::string_view(piece).substr(0, bytes));
  older_.pop_front();
  return true;
}

void ZipWriter::write_end() {
  auto end = written_;
  std::string record;
  put(record, std::uint32_t{0x06064b50});
  put(record, std::uint64_t{44});
  put(record, static_cast<std::uint16_t>(kUnixMade | kVersion));
  put(record, kVersion);
  put(record, std::uint32_t{0});
  put(record, std::uint32_t{0});
  put(record, entries_);
  put(record, entries_);
  put(record, end - directory_offset_);
  put(record, directory_offset_);
  put(record, std::uint32_t{0x07064b50});
  put(record, std::uint32_t{0});
  put(record, end);
  put(record, std::uint32_t{1});
  put(record, std::uint32_t{0x06054b50});
  put(record, std::uint16_t{0});
  put(record, std::uint16_t{0});
  put(record, std::uint16_t{0xffff});
  put(record, std::uint16_t{0xffff});
  put(record, kSeeZip64);
  put(record, kSeeZip64);
  put(record, std::uint16_t{0});
  write(record);
}

}  // namespace colloquy::exchange
