// A ZIP archive, in pieces: of any bytes what is given are entries with a beginning, parts and an
// end within the limits; and of any text what was written is read.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "check.h"
#include "exchange/zip_reader.h"
#include "exchange/zip_writer.h"

namespace {

using colloquy::Error;
using colloquy::exchange::ZipReader;
using colloquy::exchange::ZipWriter;

constexpr std::size_t kPartBytes = 512;
constexpr std::size_t kUnpackedBytes = 1 << 20;
constexpr std::size_t kEntries = 20;

struct Outcome {
  bool at_end = false;
  std::size_t entries = 0;
  std::string bytes;
};

Outcome read(std::string_view archive, std::size_t piece, std::uint64_t ratio) {
  using Kind = ZipReader::Part::Kind;
  ZipReader reader({kEntries, kUnpackedBytes, ratio, kPartBytes},
                   [](std::string_view name) { return !name.starts_with("-"); });
  Outcome outcome;
  bool open = false;
  try {
    for (; !archive.empty(); archive.remove_prefix(std::min(piece, archive.size()))) {
      reader.feed(archive.substr(0, piece));
      while (auto part = reader.next()) {
        COLLOQUY_CHECK(open == (part->kind != Kind::kBegin));
        open = part->kind != Kind::kEnd;
        if (part->kind == Kind::kBegin) COLLOQUY_CHECK(++outcome.entries <= kEntries);
        if (part->kind != Kind::kBytes) continue;
        COLLOQUY_CHECK(!part->text.empty() && part->text.size() <= kPartBytes);
        outcome.bytes += part->text;
      }
    }
  } catch (const Error& error) {
    COLLOQUY_CHECK(error.code() == colloquy::ErrorCode::kInvalid);
    COLLOQUY_CHECK(!reader.at_end());
  }
  outcome.at_end = reader.at_end();
  COLLOQUY_CHECK(!outcome.at_end || !open);
  return outcome;
}

}  // namespace

// The first byte is the size of a piece.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t piece = std::size_t{1} + *data;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto outcome = read(text, piece, 1);
  COLLOQUY_CHECK(outcome.bytes.size() <= kUnpackedBytes + size + kPartBytes);
  // However it is cut.
  const auto whole = read(text, text.size() + 1, 1);
  if (outcome.at_end && whole.at_end) COLLOQUY_CHECK(outcome.bytes == whole.bytes);

  std::string archive;
  ZipWriter writer(archive);
  writer.begin("a", 0);
  writer.add(text.substr(0, text.size() / 2));
  writer.end();
  writer.begin("-", 0);
  writer.add(text);
  writer.end();
  writer.begin(std::string(text.substr(0, 40)), 1'700'000'000);
  writer.end();
  writer.begin("b", 0);
  writer.add(text.substr(text.size() / 2));
  writer.end();
  writer.finish();
  const auto again = read(archive, piece, 2000);
  COLLOQUY_CHECK(again.at_end);
  COLLOQUY_CHECK(again.bytes == text);
  return 0;
}
