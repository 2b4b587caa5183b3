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
