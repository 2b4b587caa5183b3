#include "exchange/value_splitter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace colloquy::exchange {
namespace {

using testing::ElementsAre;

constexpr ValueSplitter::Limits kLimits{1000, 100};

// In pieces of that many bytes.
std::vector<std::string> split(std::string_view text, std::size_t piece, std::size_t most = 1000) {
  ValueSplitter splitter({most, 100});
  std::vector<std::string> values;
  for (; !text.empty(); text.remove_prefix(std::min(piece, text.size()))) {
    splitter.feed(text.substr(0, piece));
    while (auto value = splitter.next()) {
      values.push_back(value->too_large ? "too large" : value->text);
    }
  }
  EXPECT_TRUE(splitter.at_end());
  return values;
}

TEST(ValueSplitter, CutsLinesAndArraysWhereverThePiecesEnd) {
  for (std::size_t piece = 1; piece < 12; ++piece) {
    EXPECT_THAT(split("{\"a\":1}\n{\"b\":[{}]}\n", piece),
                ElementsAre("{\"a\":1}", "{\"b\":[{}]}"));
    EXPECT_THAT(split(" [ {\"a\":{}} ,\n{} ] \n", piece), ElementsAre("{\"a\":{}}", "{}"));
    EXPECT_THAT(split("\xef\xbb\xbf{\"t\":\"} \\\" {\\\\\"}", piece),
                ElementsAre("{\"t\":\"} \\\" {\\\\\"}"));
  }
  EXPECT_THAT(split("[]", 1), ElementsAre());
}

TEST(ValueSplitter, CutsElementsOfAnyKind) {
  for (std::size_t piece = 1; piece < 12; ++piece) {
    EXPECT_THAT(split(R"([null, -1.5e+3,"a,]\"",[1,{}],{"b":1},true])", piece),
                ElementsAre("null", "-1.5e+3", R"("a,]\"")", "[1,{}]", R"({"b":1})", "true"));
  }
}

TEST(ValueSplitter, CountsTheValuesInOne) {
  std::string many = "{\"a\":[0";
  for (int i = 0; i < 100; ++i) many += ",0";
  EXPECT_THAT(split(many + "]}{\"b\":\"" + std::string(200, ',') + "\"}", 7),
              ElementsAre("too large", "{\"b\":\"" + std::string(200, ',') + "\"}"));
}

TEST(ValueSplitter, EndsAnObjectWithTheLineThatBreaksAString) {
  EXPECT_THAT(split("{\"a\":{\"b\n{\"c\":1}", 3), ElementsAre("{\"a\":{\"b\n", "{\"c\":1}"));
}

TEST(ValueSplitter, SaysOnWhichLineAValueBegins) {
  ValueSplitter splitter(kLimits);
  splitter.feed("\n{\n}\n\n{}");
  EXPECT_EQ(splitter.next()->line, 2U);
  EXPECT_EQ(splitter.next()->line, 5U);
}

TEST(ValueSplitter, HoldsNoMoreThanItMay) {
  EXPECT_THAT(split("{\"a\":\"" + std::string(100, 'x') + "\"}{\"b\":1}", 7, 50),
              ElementsAre("too large", "{\"b\":1}"));
}

TEST(ValueSplitter, RefusesWhatIsNoObject) {
  for (const auto* text : {"1", "{} x", "[{}] {}", "\"{}\"", "{}]", "[,{}]", "[{}{}]", "[1 2]"}) {
    ValueSplitter splitter(kLimits);
    EXPECT_THROW(splitter.feed(text), Error) << text;
  }
}

TEST(ValueSplitter, KnowsThatSomethingIsCutOff) {
  for (const auto* text : {"{", "[{}", "{\"a\":\"}", "[", "[12"}) {
    ValueSplitter splitter(kLimits);
    splitter.feed(text);
    EXPECT_FALSE(splitter.at_end()) << text;
  }
}

}  // namespace
}  // namespace colloquy::exchange
