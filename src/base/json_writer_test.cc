#include "base/json_writer.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <limits>

namespace colloquy {
namespace {

TEST(JsonWriter, SeparatesMembersAndElements) {
  std::string out;
  JsonWriter json(out);
  json.begin_object().key("a").integer(1).key("b").begin_array();
  json.string("x").boolean(true).null().begin_object().end_object().end_array();
  json.key("c").number(0.5).end_object();
  EXPECT_EQ(out, R"({"a":1,"b":["x",true,null,{}],"c":0.5})");
}

TEST(JsonWriter, EveryByteBelow128SurvivesAParserOfAnotherHand) {
  std::string text;
  for (char c = 0; c < 127; ++c) text.push_back(c);
  text.push_back(127);
  text += "é€😀";
  std::string out;
  append_json_string(out, text);
  EXPECT_EQ(boost::json::parse(out).as_string(), text);
}

TEST(JsonWriter, EscapesAtEveryPlaceOfALongText) {
  for (std::size_t size = 1; size < 40; ++size) {
    for (std::size_t place = 0; place < size; ++place) {
      for (char c : {'"', '\\', '\n', '\x1f', '\0', '\x7f'}) {
        std::string text(size, '\xc3');  // with the high bit set, as half the world's letters are
        for (std::size_t i = 1; i < size; i += 2) text[i] = '\xa9';
        if (size % 2 == 1) text.back() = ' ';
        auto whole = place - place % 2;
        text[whole] = c;
        if (whole + 1 < size) text[whole + 1] = 'x';
        std::string out;
        append_json_string(out, text);
        EXPECT_EQ(boost::json::parse(out).as_string(), text) << size << ' ' << place;
      }
    }
  }
}

TEST(JsonWriter, KeysFromDataAreEscaped) {
  std::string out;
  JsonWriter json(out);
  json.begin_object().data_key("a\"b").string("").end_object();
  EXPECT_EQ(out, R"({"a\"b":""})");
}

TEST(JsonWriter, NumbersKeepTheirExtremes) {
  std::string out;
  JsonWriter json(out);
  json.begin_array();
  json.integer(std::numeric_limits<std::int64_t>::min());
  json.number(std::numeric_limits<double>::infinity());
  json.end_array();
  EXPECT_EQ(out, "[-9223372036854775808,null]");
}

}  // namespace
}  // namespace colloquy
