#include "store/dynamodb/service_error.h"

#include <gtest/gtest.h>

#include <string>

namespace colloquy::store::dynamodb {
namespace {

Refusal refusal_of(int status, const std::string& body) {
  return parse_service_error(status, body).refusal();
}
std::string body_of(const std::string& type, const std::string& message = "why") {
  return R"({"__type":")" + type + R"(","message":")" + message + "\"}";
}

TEST(ServiceErrorTest, ATypeIsKnownHoweverItIsWritten) {
  for (const char* type : {"ConditionalCheckFailedException",
                           "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
                           "ConditionalCheckFailedException:http://internal.amazon.com/coral/"}) {
    auto error = parse_service_error(400, body_of(type));
    EXPECT_EQ(error.refusal(), Refusal::kConditionFailed) << type;
    EXPECT_EQ(error.type(), "ConditionalCheckFailedException");
    EXPECT_EQ(error.message(), "why");
  }
  EXPECT_EQ(refusal_of(400, R"({"code":"ThrottlingException","Message":"x"})"),
            Refusal::kThrottled);
}

TEST(ServiceErrorTest, AWrongClockIsToldFromAWrongKey) {
  EXPECT_EQ(refusal_of(400, body_of("InvalidSignatureException", "Signature expired: 1 < 2")),
            Refusal::kClockSkew);
  EXPECT_EQ(
      refusal_of(400, body_of("InvalidSignatureException", "Signature not yet current: 2 > 1")),
      Refusal::kClockSkew);
  EXPECT_EQ(refusal_of(400, body_of("InvalidSignatureException", "does not match")),
            Refusal::kDenied);
}

TEST(ServiceErrorTest, WithoutAKnownTypeTheStatusDecides) {
  EXPECT_EQ(refusal_of(400, body_of("ValidationException")), Refusal::kInvalid);
  EXPECT_EQ(refusal_of(403, body_of("NeverHeardOf")), Refusal::kDenied);
  EXPECT_EQ(refusal_of(429, ""), Refusal::kThrottled);
  EXPECT_EQ(refusal_of(500, body_of("NeverHeardOf")), Refusal::kServer);
  EXPECT_EQ(refusal_of(503, "<html>"), Refusal::kServer);
}

TEST(ServiceErrorTest, ABodyMayBeAnything) {
  for (const std::string& body :
       {std::string(), std::string("null"), std::string("[]"), std::string("{"),
        std::string("\0\xff", 2), std::string(100'000, '['),
        std::string(R"({"__type":7,"message":{},"Item":"x"})")}) {
    auto error = parse_service_error(400, body);
    EXPECT_EQ(error.refusal(), Refusal::kInvalid);
    EXPECT_EQ(error.type(), "status 400");
    EXPECT_TRUE(error.item().empty());
  }
}

TEST(ServiceErrorTest, ALongMessageIsCut) {
  auto error = parse_service_error(400, body_of("ValidationException", std::string(1 << 20, 'x')));
  EXPECT_LE(error.message().size(), 300U);
}

TEST(ServiceErrorTest, TheItemThatRefusedAConditionComesWithIt) {
  auto error = parse_service_error(
      400, R"({"__type":"ConditionalCheckFailedException","Item":{"a":{"S":"b"}}})");
  EXPECT_TRUE(error.item().contains("a"));
}

}  // namespace
}  // namespace colloquy::store::dynamodb
