#include "search/tokenizer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace colloquy::search {
namespace {

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> found;
  for (auto& token : tokenize(text)) found.push_back(std::move(token.text));
  return found;
}
using Words = std::vector<std::string>;

TEST(Tokenizer, FoldsCaseAndAccents) {
  EXPECT_EQ(words("Crème BRÛLÉE, naïve STRASSE straße"),
            (Words{"creme", "brulee", "naive", "strasse", "strasse"}));
  EXPECT_EQ(words("e\xcc\x81t\xc3\xa9"), (Words{"ete"})) << "composed or not";
  EXPECT_EQ(words("ΑΘΉΝΑ Москва"), (Words{"αθηνα", "москва"}));
  EXPECT_EQ(words("ｆｕｌｌｗｉｄｔｈ ﬁne"), (Words{"fullwidth", "fine"}));
}

TEST(Tokenizer, PunctuationPartsWords) {
  EXPECT_EQ(words("don't snake_case a.b@c.d 3.14"),
            (Words{"don", "t", "snake", "case", "a", "b", "c", "d", "3", "14"}));
  EXPECT_TRUE(words(" !?\"'*():^- \n\t").empty());
  EXPECT_TRUE(words("").empty());
}

TEST(Tokenizer, ScriptsWithoutSpacesBecomePairs) {
  EXPECT_EQ(words("中国人"), (Words{"中国", "国人", "人"}));
  EXPECT_EQ(words("iPhone手机x"), (Words{"iphone", "手机", "机", "x"}));
  EXPECT_EQ(words("東"), (Words{"東"}));
  EXPECT_EQ(words("ひらがな"), (Words{"ひら", "らが", "がな", "な"}));
  EXPECT_EQ(words("か\xe3\x82\x99い"), words("がい")) << "composed or not";
  EXPECT_EQ(words("\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab글"), words("한글")) << "jamo or not";
  EXPECT_EQ(words("🎉🎂"), (Words{"🎉🎂", "🎂"}));
}

TEST(Tokenizer, KnowsWhereEachStands) {
  std::string text = "  Über 東京!";
  auto tokens = tokenize(text);
  ASSERT_EQ(tokens.size(), 3U);
  EXPECT_EQ(text.substr(tokens[0].begin, tokens[0].end - tokens[0].begin), "Über");
  EXPECT_EQ(text.substr(tokens[1].begin, tokens[1].end - tokens[1].begin), "東京");
  EXPECT_EQ(tokens[1].kind, Token::Kind::kPair);
  EXPECT_EQ(tokens[2].kind, Token::Kind::kLast);
}

TEST(Tokenizer, WordsAreCut) {
  auto tokens = tokenize(std::string(1000, 'a') + " b");
  ASSERT_EQ(tokens.size(), 2U);
  EXPECT_EQ(tokens[0].text, std::string(kTokenBytes, 'a'));
  EXPECT_EQ(tokens[0].end, 1000U);
  std::string accents = "a";
  for (int i = 0; i < 10'000; ++i) accents += "\xcc\x81";
  EXPECT_EQ(words(accents), (Words{"a"}));
}

TEST(Tokenizer, AnyBytesGiveOnlyLettersDigitsAndBytesAboveAscii) {
  std::string all;
  for (int i = 0; i < 65536; ++i) {
    all.push_back(static_cast<char>(i * 7));
    all.push_back(static_cast<char>(i >> 8));
  }
  for (char32_t point = 1; point < 0x30000; point += 3) {
    if (point >= 0xd800 && point < 0xe000) continue;
    all.push_back(static_cast<char>(0xf0 | point >> 18));
    all.push_back(static_cast<char>(0x80 | (point >> 12 & 0x3f)));
    all.push_back(static_cast<char>(0x80 | (point >> 6 & 0x3f)));
    all.push_back(static_cast<char>(0x80 | (point & 0x3f)));
  }
  std::size_t last = 0;
  for (const auto& token : tokenize(all)) {
    EXPECT_FALSE(token.text.empty());
    EXPECT_LT(token.begin, token.end);
    EXPECT_LE(token.end, all.size());
    EXPECT_GE(token.begin, last);
    last = token.begin;
    for (char c : token.text) {
      bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c & 0x80) != 0;
      ASSERT_TRUE(good) << token.text;
    }
  }
}

}  // namespace
}  // namespace colloquy::search
