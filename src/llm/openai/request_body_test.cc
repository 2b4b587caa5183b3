#include "llm/openai/request_body.h"

#include <gtest/gtest.h>

namespace colloquy::llm {
namespace {

std::string shape_of(const std::vector<ChatMessage>& messages) {
  std::string out;
  for (const ChatMessage& message : messages) {
    out += message.role == Role::kSystem ? "S" : message.role == Role::kUser ? "U" : "A";
    out += "(" + message.content + ")";
  }
  return out;
}

TEST(RequestBody, SaysWhatWasAskedAndNothingElse) {
  CompletionRequest request;
  request.messages = {{Role::kSystem, "s"}, {Role::kUser, "a\"b"}, {Role::kAssistant, "c"}};
  EXPECT_EQ(
      request_body(request, {}, "m", UsageInStream::kLeftOut),
      R"({"model":"m","messages":[{"role":"system","content":"s"},)"
      R"({"role":"user","content":"a\"b"},{"role":"assistant","content":"c"}],"stream":true})");
}

TEST(RequestBody, CarriesTheSamplingThatWasGiven) {
  CompletionRequest request;
  request.sampling = {.max_tokens = 5,
                      .temperature = 0.5,
                      .top_p = 0.25,
                      .top_k = 4,
                      .seed = 9,
                      .stop = {"x", "\n"}};
  EXPECT_EQ(
      request_body(request, {}, "m", UsageInStream::kAskedFor),
      R"({"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true},)"
      R"("max_tokens":5,"temperature":0.5,"top_p":0.25,"top_k":4,"seed":9,"stop":["x","\n"]})");
}

TEST(RequestBody, MaxTokensHasADefaultAndANameToChoose) {
  OpenAiOptions options;
  options.max_tokens_default = 7;
  options.max_tokens_field = MaxTokensField::kMaxCompletionTokens;
  EXPECT_EQ(request_body({}, options, "m", UsageInStream::kLeftOut),
            R"({"model":"m","messages":[],"stream":true,"max_completion_tokens":7})");
}

TEST(RequestBody, StrictAlternationMergesNeighboursAndDropsLeadingAnswers) {
  EXPECT_EQ(shape_of(strictly_alternating({{Role::kAssistant, "lost"},
                                           {Role::kUser, "1"},
                                           {Role::kUser, "2"},
                                           {Role::kSystem, "s"},
                                           {Role::kUser, "3"},
                                           {Role::kAssistant, "4"},
                                           {Role::kAssistant, "5"},
                                           {Role::kSystem, "t"},
                                           {Role::kUser, "6"}})),
            "S(s\n\nt)U(1\n\n2\n\n3)A(4\n\n5)U(6)");
  EXPECT_EQ(shape_of(strictly_alternating({})), "");
}

}  // namespace
}  // namespace colloquy::llm
