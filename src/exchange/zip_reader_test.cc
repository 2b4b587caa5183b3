#include "exchange/zip_reader.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "exchange/zip_writer.h"

namespace colloquy::exchange {
namespace {

using Entries = std::vector<std::pair<std::string, std::string>>;

struct Read {
  Entries entries;      // that came to their end
  std::size_t cut = 0;  // that did not
  std::size_t longest_part = 0;
  std::string problem;
  bool at_end = false;
};

Read read(
    std::string_view archive, std::size_t piece_bytes = 7,
    const ZipReader::Wanted& wanted = [](auto) { return true; }, ZipReader::Limits limits = {}) {
  Read result;
  ZipReader reader(limits, wanted);
  std::optional<std::pair<std::string, std::string>> open;
  try {
    for (std::size_t at = 0; at < archive.size(); at += piece_bytes) {
      reader.feed(archive.substr(at, piece_bytes));
      while (auto part = reader.next()) {
        using Kind = ZipReader::Part::Kind;
        result.longest_part = std::max(result.longest_part, part->text.size());
        EXPECT_EQ(part->kind == Kind::kBegin, !open.has_value());
        if (part->kind == Kind::kBegin) open.emplace(part->text, "");
        if (part->kind == Kind::kBytes) open->second += part->text;
        if (part->kind != Kind::kEnd) continue;
        result.entries.push_back(std::move(*open));
        open.reset();
      }
    }
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalid);
    result.problem = error.message();
  }
  result.cut = open ? 1 : 0;
  result.at_end = reader.at_end();
  return result;
}

std::string noise(std::size_t bytes) {
  std::string text;
  std::uint32_t state = 1;
  for (std::size_t i = 0; i < bytes; ++i) {
    state = state * 1664525U + 1013904223U;
    text.push_back(static_cast<char>(state >> 24U));
  }
  return text;
}

std::string written(const Entries& entries) {
  std::string out;
  ZipWriter zip(out);
  for (const auto& [name, text] : entries) {
    zip.begin(name, 1'700'000'000);
    zip.add(text);
    zip.end();
  }
  while (zip.finish()) {
  }
  return out;
}

// An archive as other programs write them, a field at a time.
struct Foreign {
  std::uint16_t flags = 0;
  std::uint16_t method = 0;
  std::string packed = {};
  std::string plain = {};
  std::string sizes_before = {};  // crc, packed, size
  std::string extra = {};
  std::string descriptor = {};
};

std::string low_first(std::uint64_t value, std::size_t bytes) {
  std::string out;
  for (std::size_t i = 0; i < bytes; ++i) {
    out.push_back(static_cast<char>(value & 0xffU));
    value >>= 8U;
  }
  return out;
}

std::uint64_t crc_of(const std::string& text) {
  return crc32(0, reinterpret_cast<const Bytef*>(text.data()), static_cast<uInt>(text.size()));
}

std::string sizes(const Foreign& entry, std::size_t width) {
  return low_first(crc_of(entry.plain), 4) + low_first(entry.packed.size(), width) +
         low_first(entry.plain.size(), width);
}

std::string archive_of(const Foreign& entry) {
  const std::string name = "a";
  std::string out = "PK\x03\x04" + low_first(20, 2) + low_first(entry.flags, 2) +
                    low_first(entry.method, 2) + low_first(0, 4) + entry.sizes_before +
                    low_first(name.size(), 2) + low_first(entry.extra.size(), 2) + name +
                    entry.extra + entry.packed + entry.descriptor;
  const auto directory = out.size();
  out += "PK\x01\x02" + std::string(24, '\0') + low_first(name.size(), 2) + std::string(16, '\0') +
         name;
  return out + "PK\x05\x06" + low_first(0, 4) + low_first(1, 2) + low_first(1, 2) +
         low_first(out.size() - directory, 4) + low_first(directory, 4) + low_first(0, 2);
}

std::string deflated(const std::string& text) {
  // What the writer makes of it, out of its frame.
  auto whole = written({{"", text}});
  const auto end = whole.find(std::string("PK\x07\x08", 4) + low_first(crc_of(text), 4));
  return whole.substr(50, end - 50);
}

const Entries kEntries{{"export.jsonl", "hello world"},
                       {"files/ü", noise(300'000)},
                       {"empty", ""},
                       {"long", std::string(3'000'000, 'x')}};

TEST(ZipReader, GivesWhatTheWriterWroteInPiecesOfAnySize) {
  const auto archive = written(kEntries);
  for (const std::size_t piece : {1U, 7U, 1000U, 70'000U, 10'000'000U}) {
    auto result = read(archive, piece);
    EXPECT_EQ(result.problem, "");
    EXPECT_TRUE(result.at_end);
    EXPECT_EQ(result.entries, kEntries);
    EXPECT_LE(result.longest_part, 64U * 1024);
  }
}

TEST(ZipReader, PassesOverWhatIsNotWanted) {
  auto result = read(written(kEntries), 999,
                     [](std::string_view name) { return name.starts_with("files/"); });
  EXPECT_EQ(result.entries, Entries({kEntries[1]}));
  EXPECT_TRUE(result.at_end);
}

TEST(ZipReader, SaysOfEachCutThatItIsNotAtItsEnd) {
  const auto archive = written({kEntries[0], {"b", noise(100)}});
  for (std::size_t size = 0; size < archive.size(); ++size) {
    auto result = read(std::string_view(archive).substr(0, size));
    EXPECT_FALSE(result.at_end) << size;
    EXPECT_EQ(result.problem, "");
    for (std::size_t i = 0; i < result.entries.size(); ++i) {
      EXPECT_EQ(result.entries[i].first, i == 0 ? "export.jsonl" : "b");
    }
  }
}

TEST(ZipReader, GivesNoEntryToItsEndWhoseBytesAreDamaged) {
  const Entries entries{{"a", noise(200) + std::string(1000, 'x')}};
  const auto archive = written(entries);
  const auto end_of_entry = archive.find(std::string("PK\x01\x02", 4));
  int harmless = 0;
  for (std::size_t at = 51; at < end_of_entry; ++at) {
    auto damaged = archive;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    auto result = read(damaged);
    // Some bits of deflate say the same either way.
    if (result.at_end) {
      EXPECT_EQ(result.entries, entries) << at;
      ++harmless;
    } else {
      EXPECT_TRUE(result.entries.empty()) << at;
    }
  }
  EXPECT_LT(harmless, 10);
}

TEST(ZipReader, ReadsSizesWhereverOtherWritersPutThem) {
  const std::string text = "some text, some text, some text";
  Foreign stored{.packed = text, .plain = text};
  stored.sizes_before = sizes(stored, 4);
  Foreign packed{.method = 8, .packed = deflated(text), .plain = text};
  packed.sizes_before = sizes(packed, 4);
  Foreign zip64 = packed;
  zip64.sizes_before =
      low_first(crc_of(text), 4) + low_first(0xffffffff, 4) + low_first(0xffffffff, 4);
  zip64.extra = low_first(0x5455, 2) + low_first(1, 2) + "x" + low_first(1, 2) + low_first(16, 2) +
                low_first(text.size(), 8) + low_first(zip64.packed.size(), 8);
  std::vector<Foreign> all{stored, packed, zip64};
  const std::string mark = "PK\x07\x08";
  for (const auto* before : {"", mark.c_str()}) {
    for (const std::size_t width : {4U, 8U}) {
      Foreign follows{.flags = 8, .method = 8, .packed = deflated(text), .plain = text};
      follows.sizes_before = std::string(12, '\0');
      follows.descriptor = before + sizes(follows, width);
      all.push_back(follows);
      Foreign nothing{.flags = 8};  // as folders are
      nothing.sizes_before = std::string(12, '\0');
      nothing.descriptor = before + sizes(nothing, width);
      all.push_back(nothing);
    }
  }
  for (const auto& entry : all) {
    auto result = read(archive_of(entry));
    EXPECT_EQ(result.problem, "");
    EXPECT_TRUE(result.at_end);
    EXPECT_EQ(result.entries, Entries({{"a", entry.plain}}));
  }
}

TEST(ZipReader, SaysWhatItDoesNotRead) {
  const std::string text = "text";
  Foreign entry{.packed = text, .plain = text};
  entry.sizes_before = sizes(entry, 4);
  auto with = [&](auto change) {
    auto changed = entry;
    change(changed);
    auto result = read(archive_of(changed));
    EXPECT_TRUE(result.entries.empty());
    EXPECT_FALSE(result.at_end);
    return result.problem;
  };
  EXPECT_EQ(with([](auto& it) { it.flags = 1; }), "Entry 1 of the archive is encrypted.");
  EXPECT_NE(with([](auto& it) { it.method = 14; }).find("pack it by deflate"), std::string::npos);
  EXPECT_NE(with([](auto& it) {
              it.flags = 8;
              it.sizes_before = std::string(12, '\0');
              it.descriptor = "PK\x07\x08" + sizes(it, 4);
            }).find("without its size"),
            std::string::npos);
  EXPECT_NE(with([](auto& it) {
              it.plain = "next";
              it.sizes_before = sizes(it, 4);
            }).find("damaged"),
            std::string::npos);
  // Longer or shorter than its deflated bytes are.
  EXPECT_NE(with([](auto& it) {
              it.method = 8;
              it.packed = deflated(it.plain) + "more";
              it.sizes_before = sizes(it, 4);
            }).find("damaged"),
            std::string::npos);
  EXPECT_NE(with([](auto& it) {
              it.method = 8;
              it.packed = deflated(it.plain);
              it.packed.pop_back();
              it.sizes_before = sizes(it, 4);
            }).find("damaged"),
            std::string::npos);
  EXPECT_EQ(read("hello").problem, "The body is no ZIP archive.");
}

TEST(ZipReader, ReadsNoMoreEntriesAndNoLargerOnesThanItMay) {
  ZipReader::Limits limits;
  limits.entries = 2;
  auto all = [](auto) { return true; };
  EXPECT_NE(read(written(kEntries), 1000, all, limits).problem.find("more than 2 entries"),
            std::string::npos);
  ZipReader::Limits small;
  small.unpacked_bytes = 100'000;
  for (const bool wanted : {true, false}) {
    auto bomb = read(
        written({{"bomb", std::string(50'000'000, 'x')}}), 1000, [&](auto) { return wanted; },
        small);
    EXPECT_NE(bomb.problem.find("100 times"), std::string::npos);
    EXPECT_TRUE(bomb.entries.empty());
  }
  small.ratio = 2000;
  EXPECT_EQ(read(written({{"x", std::string(50'000'000, 'x')}}), 1000, all, small).problem, "");
}

TEST(ZipReader, WantsTheDirectoryToNameEveryEntry) {
  auto archive = written(kEntries);
  auto one = archive.find(std::string("PK\x01\x02", 4));
  auto two = archive.find(std::string("PK\x01\x02", 4), one + 1);
  auto result = read(archive.substr(0, one) + archive.substr(two));
  EXPECT_FALSE(result.at_end);
  EXPECT_NE(result.problem, "");
  EXPECT_EQ(result.entries.size(), kEntries.size());
  // A comment at the end, or other bytes, do no harm.
  EXPECT_TRUE(read(archive + "comment").at_end);
}

}  // namespace
}  // namespace colloquy::exchange
