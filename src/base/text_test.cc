#include "base/text.h"

#include <gtest/gtest.h>

namespace colloquy {
namespace {

TEST(Text, OnlyAsciiLettersHaveACase) {
  EXPECT_EQ(ascii_lower(std::string("AZaz09@[`{\xc3\x84")), "azaz09@[`{\xc3\x84");
  EXPECT_TRUE(equals_ignoring_case("Content-TYPE", "content-type"));
  EXPECT_FALSE(equals_ignoring_case("@", "`"));
  EXPECT_FALSE(equals_ignoring_case("ab", "abc"));
  EXPECT_TRUE(equals_ignoring_case("", ""));
}

TEST(Text, ACutLeavesWholeCharacters) {
  const std::string text = "a\xc3\xa9\xf0\x9f\xa6\x8a";  // of one, two and four bytes
  const std::size_t kept[] = {0, 1, 1, 3, 3, 3, 3, 7, 7};
  for (std::size_t most = 0; most <= 8; ++most) {
    EXPECT_EQ(cut_utf8(text, most), text.substr(0, kept[most])) << most;
  }
}

TEST(Text, PercentEncodingKeepsWhatItIsTold) {
  EXPECT_EQ(percent_encode("aZ09-._~ /\xff"), "aZ09-._~%20%2F%FF");
  EXPECT_EQ(percent_encode("/a b/", "/"), "/a%20b/");
}

TEST(Text, HexOfAnyBytesIsReadBack) {
  EXPECT_EQ(to_hex(""), "");
  EXPECT_EQ(to_hex(std::string_view("\0\x0f\x7f\x80\xff", 5)), "000f7f80ff");
  EXPECT_EQ(from_hex(""), "");
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<char>(byte));
  EXPECT_EQ(from_hex(to_hex(all)), all);
}

TEST(Text, WhatIsNotLowerCaseHexIsRefused) {
  for (const char* digits : {"0", "abc", "AB", "g0", "0g", "/0", ":0", "`0", " 0", "0x12", "-1"}) {
    EXPECT_FALSE(from_hex(digits)) << digits;
  }
  EXPECT_FALSE(from_hex(std::string_view("0\0", 2)));
}

}  // namespace
}  // namespace colloquy
