#include "exchange/zip_writer.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <string>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "exchange/markdown.h"
#include "exchange/zip_reader.h"

namespace colloquy::exchange {
namespace {

std::uint64_t number(std::string_view bytes, std::size_t size) {
  std::uint64_t value = 0;
  for (std::size_t i = size; i > 0; --i) {
    value = value << 8U | static_cast<unsigned char>(bytes[i - 1]);
  }
  return value;
}

std::string inflated(std::string_view bytes, std::size_t size) {
  std::string out(size, '\0');
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, -MAX_WBITS), Z_OK);
  std::string in(bytes);
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  inflateEnd(&stream);
  return out;
}

TEST(ZipWriter, HasEachEntryWhereItsDirectorySays) {
  std::string out;
  ZipWriter zip(out);
  std::string archive;
  std::string long_text;
  for (int i = 0; i < 100'000; ++i) long_text += std::to_string(i * 7919);
  zip.begin("a/ü.md", 1'700'000'000);
  zip.add("hello ");
  archive += std::exchange(out, {});  // it may be sent meanwhile
  zip.add("world");
  zip.end();
  zip.begin("long", 0);
  zip.add(long_text);
  zip.end();
  zip.begin("empty", 1);
  zip.end();
  EXPECT_FALSE(zip.finish());
  archive += out;

  std::string_view view(archive);
  auto zip64 = view.rfind(std::string_view("PK\x06\x06", 4));
  ASSERT_NE(zip64, std::string_view::npos);
  EXPECT_EQ(number(view.substr(zip64 + 32), 8), 3U);
  auto at = number(view.substr(zip64 + 48), 8);
  EXPECT_EQ(at + number(view.substr(zip64 + 40), 8), zip64);
  std::vector<std::string> texts{"hello world", long_text, ""};
  for (const auto& text : texts) {
    ASSERT_EQ(number(view.substr(at), 4), 0x02014b50U);
    auto name = number(view.substr(at + 28), 2);
    auto extra = view.substr(at + 46 + name);
    auto size = number(extra.substr(4), 8);
    auto compressed = number(extra.substr(12), 8);
    auto offset = number(extra.substr(20), 8);
    ASSERT_EQ(size, text.size());
    ASSERT_EQ(number(view.substr(offset), 4), 0x04034b50U);
    auto data = offset + 30 + name + 20;
    EXPECT_EQ(inflated(view.substr(data, compressed), size), text);
    auto crc =
        crc32(0, reinterpret_cast<const Bytef*>(text.data()), static_cast<uInt>(text.size()));
    EXPECT_EQ(number(view.substr(at + 16), 4), crc);
    EXPECT_EQ(number(view.substr(data + compressed + 4), 4), crc);
    at += 46 + name + 28;
  }
  EXPECT_EQ(at, zip64);
}

TEST(ZipWriter, WritesALongDirectoryInPieces) {
  std::string out;
  ZipWriter zip(out);
  constexpr std::uint64_t kEntries = 3000;
  std::string archive;
  for (std::uint64_t i = 0; i < kEntries; ++i) {
    zip.begin("conversations/" + std::to_string(i), 1'700'000'000);
    zip.end();
  }
  archive += std::exchange(out, {});
  int pieces = 1;
  for (; zip.finish(); ++pieces) {
    EXPECT_LT(out.size(), 70'000U);
    archive += std::exchange(out, {});
  }
  archive += out;
  EXPECT_GE(pieces, 4);
  std::string_view view(archive);
  auto zip64 = view.rfind(std::string_view("PK\x06\x06", 4));
  EXPECT_EQ(number(view.substr(zip64 + 32), 8), kEntries);
  auto at = number(view.substr(zip64 + 48), 8);
  for (std::uint64_t i = 0; i < kEntries; ++i) {
    ASSERT_EQ(number(view.substr(at), 4), 0x02014b50U);
    auto name = number(view.substr(at + 28), 2);
    EXPECT_EQ(view.substr(at + 46, name), "conversations/" + std::to_string(i));
    at += 46 + name + 28;
  }
  EXPECT_EQ(at, zip64);
}

TEST(MarkdownName, IsANameOnEverySystem) {
  store::Conversation conversation;
  conversation.title = "../a\\b:*?\"<>|\n" + std::string(200, 'x');
  auto name = markdown_name(conversation);
  EXPECT_EQ(name.find_first_of("/\\:*?\"<>|\n"), std::string::npos);
  EXPECT_TRUE(name.starts_with("1970-01-01 "));
  EXPECT_LT(name.size(), 120U);
}

// Reads what is written as it comes, and returns how many bytes all entries have.
class Reading {
 public:
  explicit Reading(ZipReader::Limits limits)
      : zip_(limits, [](std::string_view) { return true; }) {}
  void take(std::string& out) {
    archive_bytes_ += out.size();
    zip_.feed(std::exchange(out, {}));
    while (auto part = zip_.next()) {
      if (part->kind == ZipReader::Part::Kind::kBytes) bytes_ += part->text.size();
    }
  }
  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t archive_bytes() const { return archive_bytes_; }
  bool at_end() const { return zip_.at_end(); }

 private:
  ZipReader zip_;
  std::uint64_t bytes_ = 0;
  std::uint64_t archive_bytes_ = 0;
};

TEST(ZipWriter, WritesNothingThatUnpacksToMoreThanAReaderTakes) {
  struct Case {
    int entries;
    std::size_t entry_bytes;
    std::size_t piece_bytes;
  };
  for (const auto& [entries, entry_bytes, piece_bytes] :
       {Case{1, 64 * limits::kMiB, 256 * limits::kKiB},
        Case{1, 20 * limits::kMiB, 20 * limits::kMiB},
        Case{2000, 32 * limits::kKiB, 32 * limits::kKiB}, Case{300, 200'000, 1000}}) {
    SCOPED_TRACE(entry_bytes);
    ZipReader::Limits limits;
    limits.unpacked_bytes = 2 * limits::kMiB;
    limits.ratio = 60;
    Reading reading(limits);
    std::string out;
    ZipWriter zip(out);
    const std::string piece(piece_bytes, '\0');
    for (int i = 0; i < entries; ++i) {
      zip.begin(std::to_string(i), 0);
      for (std::size_t done = 0; done < entry_bytes; done += piece_bytes) {
        zip.add(piece);
        reading.take(out);
      }
      zip.end();
      reading.take(out);
    }
    while (zip.finish()) reading.take(out);
    reading.take(out);
    EXPECT_TRUE(reading.at_end());
    EXPECT_EQ(reading.bytes(), static_cast<std::uint64_t>(entries) * entry_bytes);
    // And is packed all the same.
    EXPECT_LT(reading.archive_bytes(), reading.bytes() / 15);
  }
}

TEST(ZipWriter, PacksAgainWhatFollowsWhatItStored) {
  std::string out;
  ZipWriter zip(out);
  zip.begin("zeroes", 0);
  zip.add(std::string(20 * limits::kMiB, '\0'));
  zip.end();
  const auto before = out.size();
  std::string text;
  for (std::size_t i = 0; text.size() < 4 * limits::kMiB; ++i) text += std::to_string(i * 7919);
  zip.begin("text", 0);
  zip.add(text);
  zip.end();
  EXPECT_LT(out.size() - before, text.size() / 2);
}

}  // namespace
}  // namespace colloquy::exchange
