#include "llm/utf8_repair.h"

#include <gtest/gtest.h>

namespace colloquy::llm {
namespace {

std::string repaired(std::string_view text, std::size_t piece_bytes) {
  Utf8Repair repair;
  std::string out;
  for (std::size_t at = 0; at < text.size(); at += piece_bytes) {
    out += repair.push(text.substr(at, piece_bytes));
  }
  return out + repair.flush();
}

TEST(Utf8Repair, WholeTextIsUnchangedHoweverItIsSplit) {
  const std::string text = "a\u00e9\u20ac\U0001F600z\u0000\U0010FFFF";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) EXPECT_EQ(repaired(text, piece), text);
}

TEST(Utf8Repair, EachPieceHasWholeCharacters) {
  Utf8Repair repair;
  EXPECT_EQ(repair.push("x\xE2"), "x");
  EXPECT_EQ(repair.push("\x82"), "");
  EXPECT_EQ(repair.push("\xACy"), "\u20acy");
  EXPECT_EQ(repair.flush(), "");
}

// The examples of the Unicode standard, tables 3-8 to 3-11.
TEST(Utf8Repair, MaximalPartsBecomeOneReplacementEach) {
  const std::string r = "\uFFFD";
  for (std::size_t piece = 1; piece <= 8; ++piece) {
    EXPECT_EQ(repaired("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", piece),
              r + r + r + r + r + r + r + r + "A");
    EXPECT_EQ(repaired("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", piece),
              r + r + r + r + r + r + r + r + "A");
    EXPECT_EQ(repaired("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", piece),
              r + r + r + r + r + "A" + r + r + "B");
    EXPECT_EQ(repaired("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", piece), r + r + r + r + "A");
  }
  EXPECT_EQ(repaired("a\xF0\x9F\x98", 2), "a" + r);
}

}  // namespace
}  // namespace colloquy::llm
