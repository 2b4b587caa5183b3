#include "llm/llama/long_words.h"

#include <gtest/gtest.h>

#include <string>

namespace colloquy::llm {
namespace {

using Pieces = std::vector<std::string_view>;

TEST(LongWordsTest, WhatPeopleWriteStaysInOnePiece) {
  std::string text;
  while (text.size() < 100'000) text += "words of people, and\n\n  lines\t";
  EXPECT_EQ(cut_long_words(text), Pieces{text});
  EXPECT_EQ(cut_long_words(""), Pieces{""});
}

TEST(LongWordsTest, ALongWordAndLongWhiteSpaceAreCut) {
  EXPECT_EQ(cut_long_words("ab abcdefgh ij", 3), (Pieces{"ab abc", "def", "gh ij"}));
  EXPECT_EQ(cut_long_words("a\n\n\n\nb", 3), (Pieces{"a\n\n\n", "\nb"}));
}

TEST(LongWordsTest, NoCharacterIsCut) {
  EXPECT_EQ(cut_long_words("éééé", 3), (Pieces{"éé", "éé"}));
  EXPECT_EQ(cut_long_words("👋👋", 1), (Pieces{"👋", "👋"}));
}

TEST(LongWordsTest, BytesThatAreNoTextAreCutToo) {
  const std::string bytes(1000, '\x80');
  std::string again;
  for (const auto piece : cut_long_words(bytes, 10)) {
    EXPECT_LE(piece.size(), 14U);
    again += piece;
  }
  EXPECT_EQ(again, bytes);
}

}  // namespace
}  // namespace colloquy::llm
