#include "api/body.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace colloquy::api {
namespace {

using ::testing::ElementsAre;

http::Request json_request(std::string body, std::string type = "application/json") {
  http::Request request;
  request.headers.push_back({"Content-Type", std::move(type)});
  request.body = std::move(body);
  return request;
}

ErrorCode refusal(const http::Request& request) {
  try {
    Body body(request);
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "accepted " << request.body;
  return ErrorCode::kInternal;
}

std::vector<std::string> bad_fields(Body& body) {
  std::vector<std::string> names;
  try {
    body.finish();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalid);
    for (const auto& field : error.fields()) names.push_back(field.field);
  }
  return names;
}

TEST(Body, RefusesWhatIsNoJsonObject) {
  for (const char* text : {"", "{", "[]", "null", "\"a\"", "{\"a\":1}x", "{\"a\":\"\xff\"}",
                           "{\"a\":\"\\ud800\"}", "{a:1}", "nan"}) {
    EXPECT_EQ(refusal(json_request(text)), ErrorCode::kMalformed) << text;
  }
  std::string deep = "{\"a\":" + std::string(5000, '[') + std::string(5000, ']') + "}";
  EXPECT_EQ(refusal(json_request(deep)), ErrorCode::kMalformed);
}

TEST(Body, RefusesOtherContentTypesAndTakesJsonWithParameters) {
  EXPECT_EQ(refusal(json_request("{}", "text/plain")), ErrorCode::kUnsupportedMedia);
  EXPECT_EQ(refusal(json_request("{}", "application/jsonx")), ErrorCode::kUnsupportedMedia);
  EXPECT_EQ(refusal(json_request("{}", "")), ErrorCode::kUnsupportedMedia);
  EXPECT_NO_THROW(Body(json_request("{}", "Application/JSON; charset=utf-8")));
  EXPECT_NO_THROW(Body(json_request("{}", "application/merge-patch+json")));
}

TEST(Body, ReadsAnArrayOfObjectsAndNamesTheirFields) {
  Body body(json_request(R"({"good":[{"a":"x"},{}],"bad":[{"a":1,"b":2}],"mixed":[{},7]})"));
  auto good = body.objects("good", 2);
  ASSERT_EQ(good.size(), 2U);
  EXPECT_EQ(good[0].required_string("a"), "x");
  auto bad = body.objects("bad", 2);
  ASSERT_EQ(bad.size(), 1U);
  EXPECT_EQ(bad[0].required_string("a"), "");
  body.take_errors_of(std::move(bad[0]));
  EXPECT_TRUE(body.objects("mixed", 2).empty());
  EXPECT_TRUE(body.objects("good", 1).empty());
  EXPECT_TRUE(body.objects("none", 1).empty());
  EXPECT_THAT(bad_fields(body), ElementsAre("bad[0].a", "bad[0].b", "mixed[1]", "good"));
}

TEST(Body, NamesEveryFieldOfTheWrongTypeAndEveryUnknownOne) {
  Body body(json_request(
      R"({"title":1,"pinned":"yes","count":1.5,"heat":"x","stop":[1],"metadata":{"a":2},"typo":0})"));
  EXPECT_EQ(body.optional_string("title"), std::nullopt);
  EXPECT_EQ(body.optional_boolean("pinned"), std::nullopt);
  EXPECT_EQ(body.optional_integer("count", 0, 10), std::nullopt);
  EXPECT_EQ(body.optional_number("heat", 0, 1), std::nullopt);
  EXPECT_TRUE(body.string_or_strings("stop", 4, 10).empty());
  body.string_map("metadata");
  EXPECT_EQ(body.required_string("prompt"), "");
  EXPECT_THAT(bad_fields(body), ElementsAre("title", "pinned", "count", "heat", "stop",
                                            "metadata.a", "prompt", "typo"));
}

TEST(Body, NamesSoManyBadFieldsAndCountsTheRest) {
  std::string text = R"({"metadata":{"first":1})";
  for (int i = 0; i < 1000; ++i) text += ",\"k" + std::to_string(i) + "\":0";
  Body body(json_request(text + "}"));
  body.string_map("metadata");
  try {
    body.finish();
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.fields().size(), Body::kNamedFields);
    EXPECT_EQ(error.fields().front().field, "metadata.first");
    EXPECT_EQ(error.message(),
              "The request has 1001 invalid fields; 969 of them are not named here.");
  }
}

TEST(Body, CutsALongFieldNameBetweenTwoCharacters) {
  for (const char* character : {"k", "é", "€", "🚂"}) {
    std::string name = "x";  // so that no character ends where the name is cut
    while (name.size() <= Body::kFieldNameBytes) name += character;
    Body body(json_request("{\"" + name + "\":1,\"metadata\":{\"" + name + "\":1}}"));
    body.string_map("metadata");
    for (const std::string& field : bad_fields(body)) {
      EXPECT_LE(field.size(), Body::kFieldNameBytes);
      EXPECT_GT(field.size() + 4, Body::kFieldNameBytes);
      EXPECT_TRUE(field.ends_with("…"));
      const std::string kept = field.substr(0, field.size() - 3);
      EXPECT_TRUE(("metadata." + name).starts_with(kept) || name.starts_with(kept));
      const std::size_t prefix = kept.starts_with("metadata.") ? 10 : 1;
      EXPECT_EQ((kept.size() - prefix) % std::string_view(character).size(), 0U) << field;
    }
  }
}

TEST(Body, ReadsWhatIsRight) {
  Body body(json_request(
      R"({"title":"é","count":3,"heat":1,"one":"x","many":["a","b"],"metadata":{"k":"v","gone":null}})"));
  EXPECT_EQ(body.optional_string("title"), "é");
  EXPECT_EQ(body.optional_integer("count", 0, 3), 3);
  EXPECT_EQ(body.optional_number("heat", 0, 2), 1.0);
  EXPECT_THAT(body.string_or_strings("one", 4, 10), ElementsAre("x"));
  EXPECT_THAT(body.string_or_strings("many", 4, 10), ElementsAre("a", "b"));
  std::set<std::string> nulls;
  auto metadata = body.string_map("metadata", &nulls);
  EXPECT_EQ(metadata->at("k"), "v");
  EXPECT_TRUE(nulls.contains("gone"));
  EXPECT_NO_THROW(body.finish());
}

TEST(Body, NumbersOutsideTheirRangeAreRefused) {
  for (const char* text : {"0", "11", "-1", "1e30", "99999999999999999999"}) {
    Body body(json_request(std::string(R"({"n":)") + text + "}"));
    EXPECT_EQ(body.optional_integer("n", 1, 10), std::nullopt) << text;
    EXPECT_THAT(bad_fields(body), ElementsAre("n"));
  }
}

TEST(Body, AnEmptyBodyIsAnObjectOnlyWhereThatIsAllowed) {
  http::Request request;
  EXPECT_NO_THROW(Body(request, Body::Empty::kIsEmptyObject));
  EXPECT_THROW(Body(request, Body::Empty::kRefused), Error);
}

TEST(Body, NamesTheFieldsOfAnObjectWithinIt) {
  Body body(json_request(R"({"a":{"b":"x","c":true,"d":1},"e":[],"f":null})"));
  auto inner = body.optional_object("a");
  ASSERT_TRUE(inner);
  EXPECT_EQ(inner->optional_integer("b", 0, 9), std::nullopt);
  EXPECT_EQ(inner->optional_boolean("c"), true);
  body.take_errors_of(std::move(*inner));
  EXPECT_FALSE(body.optional_object("e"));
  EXPECT_FALSE(body.optional_object("g"));
  EXPECT_TRUE(body.is_null("f"));
  EXPECT_THAT(bad_fields(body), ElementsAre("a.b", "a.d", "e"));
}

}  // namespace
}  // namespace colloquy::api
