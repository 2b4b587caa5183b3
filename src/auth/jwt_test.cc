#include "auth/jwt.h"

#include <gtest/gtest.h>

#include <string>

#include "auth/base64url.h"
#include "auth/test_keys.h"

namespace colloquy::auth {
namespace {

using testing::error_of;

std::string token_of(std::string_view header, std::string_view claims,
                     std::string_view signature = "sig") {
  return base64url_encode(header) + "." + base64url_encode(claims) + "." +
         base64url_encode(signature);
}

void expect_refused(const std::string& token) {
  EXPECT_EQ(error_of([&] { parse_jwt(token); }), ErrorCode::kUnauthenticated) << token;
}

TEST(JwtTest, TakesTheExampleOfRfc7515Apart) {
  // Appendix A.1: white space inside the JSON, and a signature of 32 bytes.
  const std::string token =
      "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
      "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl"
      "fQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
  const Jwt jwt = parse_jwt(token);
  EXPECT_EQ(jwt.algorithm, "HS256");
  EXPECT_EQ(jwt.key_id, std::nullopt);
  EXPECT_EQ(jwt.claims.at("iss").as_string(), "joe");
  EXPECT_EQ(jwt.signature.size(), 32U);
  EXPECT_EQ(jwt.signed_text, std::string_view(token).substr(0, token.rfind('.')));
}

TEST(JwtTest, RefusesAnythingButThreeParts) {
  const std::string token = token_of(R"({"alg":"HS256"})", "{}");
  EXPECT_NO_THROW(parse_jwt(token));
  for (const auto& bad : {std::string(), std::string("."), std::string(".."), std::string("..."),
                          std::string("garbage"), token + ".", token + ".x", "." + token,
                          token.substr(0, token.rfind('.')), token + "=", token + " ", " " + token,
                          "Bearer " + token, std::string("a.b.c"), std::string(3, '\0')}) {
    expect_refused(bad);
  }
}

TEST(JwtTest, RefusesATokenThatIsTooLong) {
  const std::string claims = R"({"x":")" + std::string(13 * 1024, 'x') + R"("})";
  EXPECT_EQ(error_of([&] { parse_jwt(token_of(R"({"alg":"HS256"})", claims)); }),
            ErrorCode::kUnauthenticated);
  expect_refused(std::string(1024 * 1024, 'a'));
}

TEST(JwtTest, RefusesPartsThatAreNotOneJsonObject) {
  const std::string deep = std::string(40, '[') + std::string(40, ']');
  for (const std::string_view part :
       {"", "null", "[]", "\"x\"", "{", "{}{}", "{} x", "{\"a\":1,}", "\xEF\xBB\xBF{}",
        "{\"a\":\"\xFF\"}", "{\"a\":\"\\ud800\"}", "{'a':1}", "{\"a\":NaN}"}) {
    expect_refused(token_of(R"({"alg":"HS256"})", part));
    expect_refused(token_of(part, "{}"));
  }
  expect_refused(token_of(R"({"alg":"HS256"})", R"({"a":)" + deep + "}"));
}

TEST(JwtTest, RefusesANameThatStandsTwice) {
  expect_refused(token_of(R"({"alg":"HS256","alg":"none"})", "{}"));
  expect_refused(token_of(R"({"alg":"HS256"})", R"({"sub":"alice","sub":"bob"})"));
  expect_refused(token_of(R"({"alg":"HS256"})", R"({"sub":"alice","s\u0075b":"bob"})"));
  expect_refused(token_of(R"({"alg":"HS256"})", R"({"a":[{"b":1,"b":2}]})"));
  EXPECT_NO_THROW(parse_jwt(token_of(R"({"alg":"HS256"})", R"({"a":{"b":1},"b":[{"b":2}]})")));
}

TEST(JwtTest, RefusesAHeaderThatIsNotUnderstood) {
  for (const auto* header :
       {"{}", R"({"alg":1})", R"({"alg":null})", R"({"alg":["HS256"]})",
        R"({"alg":"HS256","kid":7})", R"({"alg":"HS256","crit":["b64"],"b64":false})",
        R"({"alg":"HS256","crit":[]})", R"({"alg":"HS256","typ":"logout+jwt"})",
        R"({"alg":"HS256","typ":1})"}) {
    expect_refused(token_of(header, "{}"));
  }
}

TEST(JwtTest, TakesTheTypesOfAccessTokens) {
  for (const auto* type : {"JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt"}) {
    EXPECT_NO_THROW(parse_jwt(token_of(std::string(R"({"alg":"x","typ":")") + type + "\"}", "{}")));
  }
}

}  // namespace
}  // namespace colloquy::auth
