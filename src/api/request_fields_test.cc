#include "api/request_fields.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace colloquy::api {
namespace {

http::Request request_with(std::string header, std::string value) {
  http::Request request;
  request.headers.push_back({std::move(header), std::move(value)});
  return request;
}

TEST(RequestFields, AnIdThatIsNoVersion7UuidNamesNothing) {
  http::Request request;
  request.path_parameters.emplace_back("conversation_id", "../etc");
  EXPECT_THROW(conversation_id_of(request), Error);
}

chat::PlaceRequest place_in(const std::string& json) {
  auto request = request_with("Content-Type", "application/json");
  request.body = json;
  Body body(request);
  auto place = read_place(body);
  body.finish();
  return place;
}

TEST(RequestFields, APlaceIsAfterAMessageOrInItsPlaceAndNotBoth) {
  const std::string id = R"("017f22e2-79b0-7cc3-98c4-dc0c0c07398f")";
  EXPECT_TRUE(place_in("{}").empty());
  EXPECT_TRUE(place_in(R"({"parent_id": )" + id + "}").parent.value().has_value());
  EXPECT_TRUE(place_in(R"({"edit_of": )" + id + "}").edit_of.has_value());
  auto beginning = place_in(R"({"parent_id": null})");
  ASSERT_TRUE(beginning.parent.has_value());
  EXPECT_FALSE(beginning.parent->has_value());
  for (const auto& bad : {R"({"edit_of": null})", R"({"parent_id": "x"})", R"({"parent_id": 1})",
                          R"({"edit_of": "017F22E2-79B0-7CC3-98C4-DC0C0C07398F"})"}) {
    EXPECT_THROW(place_in(bad), Error) << bad;
  }
  EXPECT_THROW(place_in(R"({"parent_id": null, "edit_of": )" + id + "}"), Error);
}

TEST(RequestFields, LimitIsAWholeNumberInItsRange) {
  for (const char* bad : {"", "0", "201", "-1", "1.5", "ten", "1 "}) {
    http::Request request;
    request.query.emplace_back("limit", bad);
    EXPECT_THROW(limit_of(request), Error) << bad;
  }
  http::Request request;
  EXPECT_FALSE(limit_of(request));
  request.query.emplace_back("limit", "200");
  EXPECT_EQ(limit_of(request), 200U);
}

std::vector<std::uint64_t> versions_of(std::string header) {
  return if_match_of(request_with("If-Match", std::move(header))).value();
}

TEST(RequestFields, IfMatchTakesOurTagsAndNeverMatchesAnothers) {
  using Versions = std::vector<std::uint64_t>;
  store::Conversation conversation;
  conversation.version = 12;
  EXPECT_EQ(versions_of(entity_tag(conversation)), Versions({12}));
  EXPECT_EQ(versions_of("\"1\", \"2\",\t\"12\""), Versions({1, 2, 12}));
  EXPECT_EQ(versions_of(", ,\"7\",,"), Versions({7}));
  EXPECT_EQ(versions_of("W/\"1\", \"a,b\", \"2\""), Versions({2}));
  EXPECT_EQ(if_match_of(request_with("If-Match", "*")), std::nullopt);
  EXPECT_EQ(if_match_of(http::Request()), std::nullopt);
  for (const char* other : {"W/\"12\"", "\"\"", "\"12x\"", "\"-1\"", "\"012\"", "\"a\\\"",
                            "\"99999999999999999999\"", "\"é\""}) {
    EXPECT_TRUE(versions_of(other).empty()) << other;
  }
}

TEST(RequestFields, IfMatchOfTwoHeadersIsOneList) {
  auto request = request_with("If-Match", "\"1\"");
  request.headers.push_back({"if-match", "\"2\""});
  EXPECT_EQ(if_match_of(request).value(), (std::vector<std::uint64_t>{1, 2}));
  request.headers.push_back({"If-Match", "*"});
  EXPECT_THROW(if_match_of(request), Error);
}

TEST(RequestFields, AnIfMatchThatIsNoListOfTagsIsMalformed) {
  for (const char* bad : {"", ",", "12", "\"", "\"1", "1\"", "\"1\" \"2\"", "\"1\",2", "*, \"1\"",
                          "**", "w/\"1\"", "W/", "\"1\"x", "\"a b\"", "'1'"}) {
    try {
      if_match_of(request_with("If-Match", bad));
      ADD_FAILURE() << "accepted " << bad;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kMalformed) << bad;
    }
  }
}

TEST(RequestFields, AnIdempotencyKeyStandsForOneRequest) {
  auto first = request_with("Idempotency-Key", "k1");
  first.body = "{}";
  auto other = first;
  other.body = "{ }";
  auto elsewhere = first;
  elsewhere.target = "/other";
  auto key = idempotency_key_of(first, 100);
  EXPECT_EQ(key->expires_at_s, 100 + 24 * 60 * 60);
  EXPECT_EQ(key->fingerprint, idempotency_key_of(first, 0)->fingerprint);
  EXPECT_NE(key->fingerprint, idempotency_key_of(other, 0)->fingerprint);
  EXPECT_NE(key->fingerprint, idempotency_key_of(elsewhere, 0)->fingerprint);
  for (const std::string& bad :
       {std::string(), std::string(256, 'a'), std::string("a\tb"), std::string("é")}) {
    EXPECT_THROW(idempotency_key_of(request_with("Idempotency-Key", bad), 0), Error) << bad;
  }
}

TEST(RequestFields, TwoIdempotencyKeysAreMalformed) {
  auto request = request_with("Idempotency-Key", "k1");
  request.headers.push_back({"idempotency-key", "k1"});
  EXPECT_THROW(idempotency_key_of(request, 0), Error);
}

TEST(RequestFields, AClientMessageIdServesAsAKeyOfItsConversation) {
  http::Request request;
  EXPECT_FALSE(idempotency_key_of(request, 0, "c1", ""));
  auto one = idempotency_key_of(request, 0, "c1", "m");
  auto two = idempotency_key_of(request, 0, "c2", "m");
  EXPECT_NE(one->key, two->key);
  EXPECT_EQ(one->field, "client_message_id");
  // A header's key is never taken for one, and counts alone where both are given.
  auto header = idempotency_key_of(request_with("Idempotency-Key", "c1:m"), 0);
  EXPECT_NE(header->key, one->key);
  EXPECT_EQ(header->field, "Idempotency-Key");
  auto both = idempotency_key_of(request_with("Idempotency-Key", "c1:m"), 0, "c1", "m");
  EXPECT_EQ(both->key, header->key);
}

}  // namespace
}  // namespace colloquy::api
