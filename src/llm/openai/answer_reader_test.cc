#include "llm/openai/answer_reader.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace colloquy::llm {
namespace {

using State = AnswerReader::State;

struct Reading {
  std::string text;
  State state = State::kOpen;
  std::optional<ErrorCode> failure;
  std::int64_t prompt_tokens = -1;
  std::int64_t completion_tokens = -1;
  std::string finish_reason;
  std::uint64_t signs_of_life = 0;
};

Reading read(std::string_view body, std::size_t piece_bytes = 1000, std::size_t bound = 10'000) {
  Reading reading;
  const TextSink sink = [&](std::string_view text) { reading.text += text; };
  AnswerReader reader(sink, bound);
  try {
    for (std::size_t at = 0; at < body.size(); at += piece_bytes) {
      reader.push(body.substr(at, piece_bytes));
    }
    reader.end();
  } catch (const Error& error) {
    reading.failure = error.code();
  }
  reading.state = reader.state();
  reading.prompt_tokens = reader.prompt_tokens().value_or(-1);
  reading.completion_tokens = reader.completion_tokens().value_or(-1);
  reading.finish_reason = reader.finish_reason();
  reading.signs_of_life = reader.signs_of_life();
  return reading;
}

std::string delta(std::string_view content) {
  return R"(data: {"choices":[{"index":0,"delta":{"content":")" + std::string(content) +
         "\"},\"finish_reason\":null}]}\n\n";
}
constexpr std::string_view kStop =
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
constexpr std::string_view kDoneEvent = "data: [DONE]\n\n";

TEST(AnswerReader, ReadsTheSameSplitAtEveryPosition) {
  const std::string body =
      ": comment\r\n\r\ndata: "
      "{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":null}}]}\n\n" +
      delta("Gr\xC3") + delta("\xBC\xC3\x9F") + delta("e \\ud83d\\ude00\\n") + std::string(kStop) +
      "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n" +
      std::string(kDoneEvent);
  for (std::size_t piece = 1; piece <= body.size(); ++piece) {
    const Reading reading = read(body, piece);
    EXPECT_EQ(reading.text, "Grüße 😀\n") << piece;
    EXPECT_EQ(reading.state, State::kDone);
    EXPECT_EQ(reading.finish_reason, "stop");
    EXPECT_EQ(reading.prompt_tokens, 3);
    EXPECT_EQ(reading.completion_tokens, 2);
    EXPECT_EQ(reading.signs_of_life, 3U);
  }
}

TEST(AnswerReader, ReasoningIsASignOfLifeButNotDelivered) {
  const Reading reading = read(
      "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hmm\",\"content\":null}}]}\n\n" +
      delta("yes") + std::string(kDoneEvent));
  EXPECT_EQ(reading.text, "yes");
  EXPECT_EQ(reading.signs_of_life, 2U);
}

TEST(AnswerReader, ReadsAWholeAnswerThatIsNotStreamed) {
  const std::string body =
      "\r\n {\"object\":\"chat.completion\",\"choices\":[{\"message\":{\"role\":\"assistant\","
      "\"content\":\"Hi\"},\"finish_reason\":\"length\"}],"
      "\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}";
  for (std::size_t piece = 1; piece <= body.size(); ++piece) {
    const Reading reading = read(body, piece);
    EXPECT_EQ(reading.text, "Hi");
    EXPECT_EQ(reading.state, State::kDone);
    EXPECT_EQ(reading.finish_reason, "length");
  }
}

TEST(AnswerReader, AStreamWithoutAnEndStaysOpen) {
  EXPECT_EQ(read("").state, State::kOpen);
  EXPECT_EQ(read(delta("a")).state, State::kOpen);
  EXPECT_EQ(read(delta("a")).text, "a");
  EXPECT_EQ(read(delta("a") + "data: [DONE]\n").state, State::kOpen);
  EXPECT_EQ(read(delta("a") + std::string(kStop)).state, State::kDone);
  EXPECT_EQ(read(delta("a") + std::string(kDoneEvent)).state, State::kDone);
}

TEST(AnswerReader, WhatIsGarbledIsUnavailableAndKeepsWhatWasSaid) {
  const char* const garbled[] = {"data: {\"choices\":[{\"del\n\n",
                                 "data: []\n\n",
                                 "data: 7\n\n",
                                 "data: {\"choices\":7}\n\n",
                                 "data: {\"choices\":[7]}\n\n",
                                 "data: {\"choices\":[{\"delta\":7}]}\n\n",
                                 "data: {\"choices\":[{\"delta\":{\"content\":7}}]}\n\n",
                                 "data: {\"choices\":[{\"delta\":{\"content\":\"\\ud83d\"}}]}\n\n"};
  for (const char* event : garbled) {
    const Reading reading = read(delta("said") + event + delta("not said"));
    EXPECT_EQ(reading.failure, ErrorCode::kUnavailable) << event;
    EXPECT_EQ(reading.text, "said");
  }
  EXPECT_EQ(read("{\"choices\":[").failure, ErrorCode::kUnavailable);
  EXPECT_EQ(read("data: " + std::string(100'000, '[') + "\n\n").failure, ErrorCode::kUnavailable);
}

TEST(AnswerReader, AnErrorWithinTheStreamIsThrown) {
  EXPECT_EQ(read(delta("a") + "data: {\"error\":{\"message\":\"x\",\"code\":429}}\n\n").failure,
            ErrorCode::kThrottled);
  EXPECT_EQ(read("data: {\"error\":\"out of memory\"}\n\n").failure, ErrorCode::kUnavailable);
  EXPECT_EQ(read("{\"error\":{\"code\":\"context_length_exceeded\"}}").failure,
            ErrorCode::kInvalid);
}

TEST(AnswerReader, AnAnswerOverTheBoundEndsAtAWholeCharacter) {
  const Reading reading = read(delta("1234") + delta("5é") + delta("no"), 1000, 6);
  EXPECT_EQ(reading.text, "12345");
  EXPECT_EQ(reading.state, State::kOverBound);
  EXPECT_EQ(read(delta("123456") + std::string(kDoneEvent), 1000, 6).state, State::kDone);
}

TEST(AnswerReader, AnEndlessEventIsRefused) {
  EXPECT_EQ(read("data: " + std::string(1'000'000, 'x')).failure, ErrorCode::kUnavailable);
  EXPECT_EQ(read("{" + std::string(1'000'000, ' ')).failure, ErrorCode::kUnavailable);
}

TEST(AnswerReader, ACharacterThatNeverBecomesWholeIsReplaced) {
  EXPECT_EQ(read(delta("a\xE2\x82") + std::string(kDoneEvent)).text, "a\uFFFD");
}

}  // namespace
}  // namespace colloquy::llm
