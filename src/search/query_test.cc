#include "search/query.h"

#include <gtest/gtest.h>

#include <string>

#include "search/snippet.h"

namespace colloquy::search {
namespace {

bool finds(std::string_view query, std::string_view text) {
  return find_matches(parse_query(query), text).all();
}

std::string shown(std::string_view query, std::string_view text) {
  std::string out;
  for (const auto& fragment : make_snippet(text, find_matches(parse_query(query), text))) {
    out += fragment.match ? "[" + fragment.text + "]" : fragment.text;
  }
  return out;
}

TEST(Query, EveryWordMustBeThere) {
  EXPECT_TRUE(finds("shells sea", "She sells SEA shells by the sea shore"));
  EXPECT_FALSE(finds("sea mountain", "She sells sea shells"));
}

TEST(Query, QuotedWordsStandSideBySide) {
  EXPECT_TRUE(finds("\"sells sea\"", "She sells sea shells"));
  EXPECT_FALSE(finds("\"sea sells\"", "She sells sea shells"));
  EXPECT_FALSE(finds("\"sells sea\"", "She sells the sea"));
  EXPECT_TRUE(finds("\"sells sea", "She sells sea shells")) << "a quotation that does not end";
}

TEST(Query, WhatIsWrittenTogetherStandsTogether) {
  EXPECT_TRUE(finds("user@example.com", "write to user@example.com, please"));
  EXPECT_FALSE(finds("user@example.com ", "the user of example.com"));
  EXPECT_TRUE(finds("don't", "I don’t know"));
}

TEST(Query, TheLastWordMayGoOn) {
  EXPECT_TRUE(finds("sea she", "sea shells"));
  EXPECT_FALSE(finds("sea she ", "sea shells")) << "a space ends it";
  EXPECT_FALSE(finds("she sea", "shells sea"));
  EXPECT_FALSE(finds("\"she\"", "shells"));
  EXPECT_FALSE(finds("sh", "shells")) << "two letters are a word";
  EXPECT_TRUE(finds("user@exam", "user@example.com"));
}

TEST(Query, ScriptsWithoutSpacesAreFoundInside) {
  const std::string text = "我是中国人，住在東京都。";
  for (const char* query :
       {"中国", "国人", "中", "人", "東京", "京都", "是中国人", "中国 東京", "\"住在\""}) {
    EXPECT_TRUE(finds(query, text)) << query;
  }
  EXPECT_FALSE(finds("国中", text));
  EXPECT_TRUE(finds("手机x", "iPhone手机x"));
}

TEST(Query, AnyStringIsUnderstood) {
  EXPECT_TRUE(parse_query("").empty());
  EXPECT_TRUE(parse_query("\" \" !? \"").empty());
  EXPECT_TRUE(parse_query("\xff\xfe\x80").empty());
  EXPECT_FALSE(parse_query("NOT a OR b AND* NEAR(c, 2) ^d {e}: -f").empty());
  std::string many;
  for (int i = 0; i < 500; ++i) many += " w" + std::to_string(i);
  EXPECT_EQ(parse_query(many).phrases.size(), kTerms);
  EXPECT_EQ(parse_query("a a a").phrases.size(), 1U);
}

TEST(Query, MoreOftenAndShorterFitsBetter) {
  EXPECT_GT(relevance({2}, 10), relevance({1}, 10));
  EXPECT_GT(relevance({1}, 10), relevance({1}, 1000));
  EXPECT_LT(relevance({1000}, 10), 1.0);
  EXPECT_EQ(relevance({}, 10), 0.0);
}

TEST(Query, ManyPlacesAreCountedAndNotAllKept) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += "a ";
  auto matches = find_matches(parse_query("a \"a a\" \"a a a\""), text);
  EXPECT_EQ(matches.places.size(), kPlaces);
  EXPECT_EQ(matches.counts, (std::vector<std::size_t>{100'000, 99'999, 99'998}));
}

TEST(Snippet, MarksWhatWasFound) {
  EXPECT_EQ(shown("sea shell", "She sells sea  \n shells"), "She sells [sea] [shells]");
  EXPECT_EQ(shown("国", "我是中国人"), "我是中[国]人");
  EXPECT_EQ(shown("中国人", "我是中国人。"), "我是[中国人]。");
  EXPECT_EQ(shown("\"i a\"", "<i>a</i> b"), "<[i>a]</i> b") << "never taken for markup";
}

TEST(Snippet, OfALongTextShowsTheBestPlace) {
  std::string filler;
  for (int i = 0; i < 500; ++i) filler += "füll wörter ";
  auto text = "sea " + filler + "the sea and the mountain " + filler;
  auto snippet = shown("sea mountain", text);
  EXPECT_NE(snippet.find("[sea] and the [mountain]"), std::string::npos) << snippet;
  EXPECT_TRUE(snippet.starts_with("…")) << snippet;
  EXPECT_TRUE(snippet.ends_with("…")) << snippet;
  EXPECT_LT(snippet.size(), kSnippetBytes + 80);
  EXPECT_EQ(snippet.find("\xef\xbf\xbd"), std::string::npos);
}

TEST(Snippet, OfWhatHasNoSpacesCutsNoCharacter) {
  std::string text;
  for (int i = 0; i < 300; ++i) text += "文";
  text += "東京";
  for (int i = 0; i < 300; ++i) text += "字";
  auto snippet = shown("東京", text);
  EXPECT_NE(snippet.find("[東京]"), std::string::npos);
  EXPECT_LT(snippet.size(), kSnippetBytes + 40);
}

}  // namespace
}  // namespace colloquy::search
