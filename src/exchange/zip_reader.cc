#include "exchange/zip_reader.h"

#include <zlib.h>

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace colloquy::exchange {
namespace {

constexpr std::uint32_t kEntry = 0x04034b50;
constexpr std::uint32_t kDescriptorMark = 0x08074b50;
constexpr std::uint32_t kListed = 0x02014b50;
constexpr std::uint32_t kZip64End = 0x06064b50;
constexpr std::uint32_t kZip64Locator = 0x07064b50;
constexpr std::uint32_t kEnd = 0x06054b50;

constexpr std::size_t kEntryBytes = 30;
constexpr std::size_t kListedBytes = 46;
constexpr std::size_t kZip64EndBytes = 56;
constexpr std::size_t kZip64LocatorBytes = 20;
constexpr std::size_t kEndBytes = 22;
// The longest descriptor; an archive has at least kEndBytes more behind one of any length.
constexpr std::size_t kDescriptorBytesMost = 24;

constexpr std::uint16_t kStoredMethod = 0;
constexpr std::uint16_t kDeflatedMethod = 8;
constexpr std::uint16_t kZip64Extra = 1;
constexpr std::uint32_t kSeeZip64 = 0xffffffff;
// Encrypted, a patch, strongly encrypted, or with its head hidden.
constexpr std::uint16_t kEncryptedFlags = 1U << 0U | 1U << 6U | 1U << 13U;
constexpr std::uint16_t kPatchFlag = 1U << 5U;

// Low byte first.
std::uint64_t number(std::string_view bytes, std::size_t at, std::size_t size) {
  std::uint64_t value = 0;
  for (std::size_t i = size; i > 0; --i) {
    value = value << 8U | static_cast<unsigned char>(bytes[at + i - 1]);
  }
  return value;
}
std::uint16_t number16(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint16_t>(number(bytes, at, 2));
}
std::uint32_t number32(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint32_t>(number(bytes, at, 4));
}

Error refused(std::string why) { return {ErrorCode::kInvalid, std::move(why)}; }

Error damaged(std::uint64_t entry) {
  return refused(entry == 0 ? "The body is no ZIP archive."
                            : "The archive is damaged in entry " + std::to_string(entry) +
                                  ", or behind it.");
}

}  // namespace

struct ZipReader::Inflater {
  Inflater() {
    // Raw: a ZIP has its own frame.
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw internal_error("zlib cannot begin");
  }
  ~Inflater() { inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  z_stream stream{};
  bool more = false;  // the last call filled its room: it may have more without more input
};

ZipReader::ZipReader(Limits limits, Wanted wanted)
    : limits_(limits), wanted_(std::move(wanted)), unpacked_part_(limits.part_bytes, '\0') {}
ZipReader::~ZipReader() = default;

void ZipReader::feed(std::string_view piece) {
  input_.erase(0, at_);
  at_ = 0;
  if (!at_end()) input_ += piece;
}

std::optional<ZipReader::Part> ZipReader::next() {
  while (!part_ && step()) {
  }
  return std::exchange(part_, std::nullopt);
}

std::optional<std::string_view> ZipReader::ahead(std::size_t bytes) const {
  if (input_.size() - at_ < bytes) return std::nullopt;
  return std::string_view(input_).substr(at_, bytes);
}

void ZipReader::drop(std::size_t bytes) {
  at_ += bytes;
  read_ += bytes;
}

bool ZipReader::step() {
  switch (state_) {
    case State::kRecord:
      return read_record();
    case State::kName:
      return read_name();
    case State::kStored:
      return read_stored();
    case State::kDeflated:
      return read_deflated();
    case State::kDataEnd:
      return entry_.sizes_follow() ? read_descriptor() : check_sizes();
    case State::kSkip:
      return skip();
    case State::kEnded:
      break;
  }
  return false;
}

bool ZipReader::read_record() {
  auto signature = ahead(4);
  if (!signature) return false;
  switch (number32(*signature, 0)) {
    case kEntry:
      return read_entry();
    case kListed:
      return read_listed();
    case kZip64End:
      return read_zip64_end();
    case kZip64Locator:
      to_skip_ = kZip64LocatorBytes;
      state_ = State::kSkip;
      return true;
    case kEnd:
      return read_end();
    default:
      throw damaged(entries_);
  }
}

bool ZipReader::read_entry() {
  auto head = ahead(kEntryBytes);
  if (!head) return false;
  if (listed_ > 0 || zip64_entries_) throw damaged(entries_);
  if (++entries_ > limits_.entries) {
    throw refused("The archive has more than " + std::to_string(limits_.entries) + " entries.");
  }
  entry_ = {};
  entry_.flags = number16(*head, 6);
  entry_.method = number16(*head, 8);
  entry_.crc = number32(*head, 14);
  entry_.packed = number32(*head, 18);
  entry_.size = number32(*head, 22);
  entry_.name_bytes = number16(*head, 26);
  entry_.extra_bytes = number16(*head, 28);
  const std::string which = "Entry " + std::to_string(entries_) + " of the archive ";
  if ((entry_.flags & kEncryptedFlags) != 0) throw refused(which + "is encrypted.");
  const bool known = entry_.method == kStoredMethod || entry_.method == kDeflatedMethod;
  if (!known || (entry_.flags & kPatchFlag) != 0) {
    throw refused(which + "is packed in a way that this server does not read: pack it by deflate.");
  }
  drop(kEntryBytes);
  state_ = State::kName;
  return true;
}

bool ZipReader::read_name() {
  auto found = ahead(entry_.name_bytes + entry_.extra_bytes);
  if (!found) return false;
  auto name = found->substr(0, entry_.name_bytes);
  read_zip64_sizes(found->substr(entry_.name_bytes));
  entry_.wanted = wanted_(name);
  if (entry_.wanted) part_ = Part{Part::Kind::kBegin, std::string(name)};
  drop(found->size());
  begin_data();
  return true;
}

// Of an entry whose sizes follow they mean nothing, and are passed over.
void ZipReader::read_zip64_sizes(std::string_view extra) {
  while (extra.size() >= 4) {
    const std::size_t bytes = number16(extra, 2);
    if (bytes > extra.size() - 4) return;
    auto field = extra.substr(4, bytes);
    if (number16(extra, 0) == kZip64Extra) {
      for (auto* size : {&entry_.size, &entry_.packed}) {
        if (*size != kSeeZip64 || field.size() < 8) continue;
        *size = number(field, 0, 8);
        field.remove_prefix(8);
      }
    }
    extra.remove_prefix(4 + bytes);
  }
}

void ZipReader::begin_data() {
  entry_.crc_seen = static_cast<std::uint32_t>(crc32(0, nullptr, 0));
  if (entry_.method == kStoredMethod) {
    state_ = State::kStored;
    // Where it ends can only be known from its head.
    if (entry_.packed != entry_.size) throw damaged(entries_);
    return;
  }
  state_ = State::kDeflated;
  if (!inflater_) inflater_ = std::make_unique<Inflater>();
  inflateReset(&inflater_->stream);
  inflater_->more = false;
}

// So much of the entry is unpacked.
void ZipReader::give(std::string_view bytes) {
  if (bytes.empty()) return;
  entry_.size_seen += bytes.size();
  unpacked_ += bytes.size();
  if (unpacked_ > limits_.unpacked_bytes + limits_.ratio * read_) {
    throw refused("The archive unpacks to more than " + std::to_string(limits_.ratio) +
                  " times its size: it is not read further.");
  }
  const auto* data = reinterpret_cast<const Bytef*>(bytes.data());
  entry_.crc_seen =
      static_cast<std::uint32_t>(crc32(entry_.crc_seen, data, static_cast<uInt>(bytes.size())));
  if (entry_.wanted) part_ = Part{Part::Kind::kBytes, std::string(bytes)};
}

bool ZipReader::read_stored() {
  const std::uint64_t left = entry_.packed - entry_.packed_seen;
  if (left == 0) {
    state_ = State::kDataEnd;
    return true;
  }
  const auto bytes = static_cast<std::size_t>(
      std::min<std::uint64_t>({left, input_.size() - at_, limits_.part_bytes}));
  if (bytes == 0) return false;
  auto piece = *ahead(bytes);
  drop(bytes);
  entry_.packed_seen += bytes;
  give(piece);
  return true;
}

bool ZipReader::read_deflated() {
  auto& stream = inflater_->stream;
  std::uint64_t bytes = std::min<std::uint64_t>(input_.size() - at_, limits::kMiB);
  if (!entry_.sizes_follow()) bytes = std::min(bytes, entry_.packed - entry_.packed_seen);
  if (bytes == 0 && !inflater_->more) {
    if (!entry_.sizes_follow() && entry_.packed == entry_.packed_seen) throw damaged(entries_);
    return false;
  }
  stream.next_in = reinterpret_cast<Bytef*>(input_.data() + at_);
  stream.avail_in = static_cast<uInt>(bytes);
  stream.next_out = reinterpret_cast<Bytef*>(unpacked_part_.data());
  stream.avail_out = static_cast<uInt>(unpacked_part_.size());
  const int result = inflate(&stream, Z_NO_FLUSH);
  if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) throw damaged(entries_);
  const auto used = static_cast<std::size_t>(bytes - stream.avail_in);
  drop(used);
  entry_.packed_seen += used;
  inflater_->more = stream.avail_out == 0;
  give(std::string_view(unpacked_part_).substr(0, unpacked_part_.size() - stream.avail_out));
  if (result == Z_STREAM_END) state_ = State::kDataEnd;
  return true;
}

bool ZipReader::check_sizes() {
  const bool good = entry_.crc == entry_.crc_seen && entry_.packed == entry_.packed_seen &&
                    entry_.size == entry_.size_seen;
  if (!good) throw damaged(entries_);
  finish_entry();
  return true;
}

// With a mark before it or not, and sizes of eight bytes or of four: no writer can be trusted to
// say which, and only the right one fits what was counted.
bool ZipReader::read_descriptor() {
  auto found = ahead(kDescriptorBytesMost);
  if (!found) return false;
  auto fits = [&](std::size_t at, std::size_t width) {
    auto same = [&](std::size_t from, std::uint64_t counted) {
      return number(*found, from, width) == (width == 4 ? counted & kSeeZip64 : counted);
    };
    return number32(*found, at) == entry_.crc_seen && same(at + 4, entry_.packed_seen) &&
           same(at + 4 + width, entry_.size_seen);
  };
  const bool marked = number32(*found, 0) == kDescriptorMark;
  for (const std::size_t at : {std::size_t{4}, std::size_t{0}}) {
    if (at == 4 && !marked) continue;
    for (const std::size_t width : {std::size_t{8}, std::size_t{4}}) {
      if (!fits(at, width)) continue;
      drop(at + 4 + 2 * width);
      finish_entry();
      return true;
    }
  }
  if (entry_.method == kStoredMethod && entry_.packed == 0) {
    throw refused("Entry " + std::to_string(entries_) +
                  " of the archive is stored without its size: pack it by deflate.");
  }
  throw damaged(entries_);
}

void ZipReader::finish_entry() {
  if (entry_.wanted) part_ = Part{Part::Kind::kEnd, {}};
  state_ = State::kRecord;
}

bool ZipReader::skip() {
  const auto bytes =
      static_cast<std::size_t>(std::min<std::uint64_t>(to_skip_, input_.size() - at_));
  drop(bytes);
  to_skip_ -= bytes;
  if (to_skip_ == 0) state_ = State::kRecord;
  return bytes > 0 || to_skip_ == 0;
}

bool ZipReader::read_listed() {
  auto head = ahead(kListedBytes);
  if (!head) return false;
  if (zip64_entries_ || ++listed_ > entries_) throw damaged(entries_);
  to_skip_ = kListedBytes;
  for (const std::size_t at : {28U, 30U, 32U}) to_skip_ += number16(*head, at);
  state_ = State::kSkip;
  return true;
}

bool ZipReader::read_zip64_end() {
  auto head = ahead(kZip64EndBytes);
  if (!head) return false;
  const auto bytes = number(*head, 4, 8);
  if (zip64_entries_ || bytes < kZip64EndBytes - 12 || bytes > limits::kMiB) {
    throw damaged(entries_);
  }
  zip64_entries_ = number(*head, 32, 8);
  to_skip_ = 12 + bytes;
  state_ = State::kSkip;
  return true;
}

bool ZipReader::read_end() {
  auto head = ahead(kEndBytes);
  if (!head) return false;
  const auto told = number16(*head, 10);
  const bool good = listed_ == entries_ &&
                    (zip64_entries_ ? *zip64_entries_ == listed_ : told == (listed_ & 0xffffU));
  if (!good) throw damaged(entries_);
  state_ = State::kEnded;
  drop(input_.size() - at_);
  return true;
}

}  // namespace colloquy::exchange
