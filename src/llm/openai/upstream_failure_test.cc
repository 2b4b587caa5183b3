#include "llm/openai/upstream_failure.h"

#include <gtest/gtest.h>

namespace colloquy::llm {
namespace {

ErrorCode code_of(int status, std::string_view body) {
  return status_failure(status, parse_upstream_message(body), std::nullopt).code();
}

TEST(UpstreamFailure, EachStatusHasItsMeaning) {
  EXPECT_EQ(code_of(400, R"({"error":{"message":"bad"}})"), ErrorCode::kInvalid);
  EXPECT_EQ(code_of(401, ""), ErrorCode::kUnavailable);
  EXPECT_EQ(code_of(403, "<html>"), ErrorCode::kUnavailable);
  EXPECT_EQ(code_of(404, R"({"error":"no such model"})"), ErrorCode::kUnavailable);
  EXPECT_EQ(code_of(302, ""), ErrorCode::kUnavailable);
  EXPECT_EQ(code_of(413, ""), ErrorCode::kInvalid);
  EXPECT_EQ(code_of(429, ""), ErrorCode::kThrottled);
  EXPECT_EQ(code_of(429, R"({"error":{"code":"insufficient_quota"}})"), ErrorCode::kUnavailable);
  EXPECT_EQ(code_of(500, "oops"), ErrorCode::kUnavailable);
  EXPECT_EQ(code_of(503, "[[[["), ErrorCode::kUnavailable);
}

TEST(UpstreamFailure, APromptThatDoesNotFitIsTheCallersToShorten) {
  const char* const bodies[] = {
      R"({"error":{"code":"context_length_exceeded","message":"x"}})",
      R"({"object":"error","message":"This model's maximum context length is 4096","code":400})",
      R"({"error":{"code":400,"type":"exceed_context_size_error","message":"the request exceeds"}})",
  };
  for (const char* body : bodies) {
    const Error error = status_failure(400, parse_upstream_message(body), std::nullopt);
    EXPECT_EQ(error.code(), ErrorCode::kInvalid);
    EXPECT_EQ(error.message(), "The conversation is too long for the language model.");
  }
}

TEST(UpstreamFailure, AnErrorWithinTheStreamIsClassifiedByItsOwnWords) {
  EXPECT_EQ(stream_failure({429, "", "", ""}).code(), ErrorCode::kThrottled);
  EXPECT_EQ(stream_failure({0, "", "rate_limit_exceeded", ""}).code(), ErrorCode::kThrottled);
  EXPECT_EQ(stream_failure({0, "", "", "Context length exceeded"}).code(), ErrorCode::kInvalid);
  EXPECT_EQ(stream_failure({0, "", "", "CUDA out of memory"}).code(), ErrorCode::kUnavailable);
}

TEST(UpstreamFailure, RetryAfterIsSecondsOrADate) {
  EXPECT_EQ(retry_after_seconds("7", 0), 7);
  EXPECT_EQ(retry_after_seconds("0.5", 0), 1);
  EXPECT_EQ(retry_after_seconds("-7", 0), 0);
  EXPECT_EQ(retry_after_seconds("soon", 0), 0);
  EXPECT_EQ(retry_after_seconds("", 0), 0);
  EXPECT_EQ(retry_after_seconds("99999999999999999999", 0), 86'400);
  EXPECT_EQ(retry_after_seconds("Sun, 06 Nov 1994 08:49:37 GMT", 784'111'777 - 30), 30);
  EXPECT_EQ(retry_after_seconds("Sun, 06 Nov 1994 08:49:37 GMT", 784'111'777 + 30), 0);
}

TEST(UpstreamFailure, TheSecretIsTakenOutOfTheDetail) {
  const Error error =
      Error(ErrorCode::kThrottled, "m", "key sk-1 is not sk-1.").with_retry_after(3);
  const Error clean = without_secret(error, "sk-1");
  EXPECT_EQ(clean.detail(), "key *** is not ***.");
  EXPECT_EQ(clean.code(), ErrorCode::kThrottled);
  EXPECT_EQ(clean.retry_after_s(), 3);
  EXPECT_EQ(without_secret(error, "").detail(), error.detail());
}

}  // namespace
}  // namespace colloquy::llm
