// What lies in a backup: segments, the records of bases, moments on the command line. The checksums
// are mended first for half of the inputs, so that what is behind them is reached too.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "backup/moment.h"
#include "backup/segment.h"
#include "backup/target.h"
#include "base/error.h"
#include "base/sha256.h"
#include "check.h"

namespace {

namespace backup = colloquy::backup;

constexpr std::size_t kTrailerBytes = 32 + 8;

// With the length and the checksum that it should have.
std::string mended(std::string_view text) {
  std::string out(text);
  if (out.size() < 16) return out;
  const std::uint64_t length = out.size() + kTrailerBytes;
  out.replace(0, 8, "CLQYLOG1");
  for (std::size_t i = 0; i < 8; ++i) out[8 + i] = static_cast<char>(length >> (8 * i));
  const auto digest = colloquy::sha256({out});
  return out + std::string(colloquy::bytes_of(digest)) + "CLQYEND1";
}

void check_segment(std::string_view text) {
  try {
    const auto segment = backup::decode(text);
    COLLOQUY_CHECK(!segment.commits.empty());
    COLLOQUY_CHECK(segment.first_sequence() <= segment.last_sequence());
    COLLOQUY_CHECK(backup::encode(segment) == text);
  } catch (const colloquy::Error&) {
  }
}

void check_base(std::string_view text) {
  try {
    COLLOQUY_CHECK(backup::encode(backup::decode_base(text)) == text);
  } catch (const colloquy::Error&) {
  }
}

void check_moment(std::string_view text) {
  const auto moment = backup::parse_moment(text);
  if (!moment) return;
  // What is written can be read, as the same.
  if (*moment >= 0) COLLOQUY_CHECK(backup::parse_moment(backup::to_text_utc(*moment)) == moment);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_segment(text);
  check_segment(mended(text));
  check_base(text);
  check_moment(text);
  return 0;
}
