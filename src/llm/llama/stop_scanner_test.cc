#include "llm/llama/stop_scanner.h"

#include <gtest/gtest.h>

namespace colloquy::llm {
namespace {

TEST(StopScannerTest, LetsAllThroughWithoutStopStrings) {
  StopScanner scanner({});
  EXPECT_EQ(scanner.push("abc"), "abc");
  EXPECT_EQ(scanner.push(""), "");
  EXPECT_EQ(scanner.flush(), "");
  EXPECT_FALSE(scanner.stopped());
}

TEST(StopScannerTest, AStopStringInOnePieceIsNotShownNorWhatFollows) {
  StopScanner scanner({"STOP"});
  EXPECT_EQ(scanner.push("abSTOPcd"), "ab");
  EXPECT_TRUE(scanner.stopped());
  EXPECT_EQ(scanner.push("ef"), "");
  EXPECT_EQ(scanner.flush(), "");
}

TEST(StopScannerTest, NothingOfAStopStringIsShownThatComesByteByByte) {
  StopScanner scanner({"\n\nUser:"});
  std::string shown;
  for (const char c : std::string("one\ntwo\n\nUse\n\nUser: three")) shown += scanner.push({&c, 1});
  EXPECT_EQ(shown, "one\ntwo\n\nUse");
  EXPECT_TRUE(scanner.stopped());
}

TEST(StopScannerTest, WhatOnlyLookedLikeAStopStringIsShown) {
  StopScanner scanner({"aab"});
  EXPECT_EQ(scanner.push("aa"), "");
  EXPECT_EQ(scanner.push("a"), "a");
  EXPECT_EQ(scanner.push("x"), "aax");
  EXPECT_EQ(scanner.push("a"), "");
  EXPECT_EQ(scanner.flush(), "a");
  EXPECT_FALSE(scanner.stopped());
}

TEST(StopScannerTest, TheFirstOfSeveralInTheTextCounts) {
  StopScanner scanner({"later", "b", ""});
  EXPECT_EQ(scanner.push("abc later"), "a");
  EXPECT_TRUE(scanner.stopped());
}

}  // namespace
}  // namespace colloquy::llm
