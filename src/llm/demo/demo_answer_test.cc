#include "llm/demo/demo_answer.h"

#include <gmock/gmock.h>

#include "llm/demo/demo_tokens.h"

namespace colloquy::llm {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string answer_to(std::vector<ChatMessage> messages) {
  CompletionRequest request;
  request.messages = std::move(messages);
  return demo_answer(request);
}

TEST(DemoAnswer, AFirstPromptIsQuotedAndTheModelIntroducesItself) {
  const std::string answer = answer_to({{Role::kUser, "Hello there"}});
  EXPECT_THAT(answer, HasSubstr("“Hello there”"));
  EXPECT_THAT(answer, HasSubstr("no previous messages"));
  EXPECT_THAT(answer, HasSubstr("demonstration model"));
  EXPECT_THAT(answer, HasSubstr("--model openai --openai-base-url URL"));
  EXPECT_THAT(answer, Not(HasSubstr("system prompt")));
}

TEST(DemoAnswer, EarlierMessagesAreCountedAndTheUsersOwnRecalled) {
  const std::string answer = answer_to({{Role::kSystem, "Be brief."},
                                        {Role::kUser, "one"},
                                        {Role::kAssistant, "answer"},
                                        {Role::kUser, "two"},
                                        {Role::kUser, "three"},
                                        {Role::kUser, "four"},
                                        {Role::kUser, "five"}});
  EXPECT_THAT(answer, HasSubstr("“two”, “three” and “four”"));
  EXPECT_THAT(answer, HasSubstr("5 previous messages"));
  EXPECT_THAT(answer, HasSubstr("My system prompt is “Be brief.”"));
}

TEST(DemoAnswer, AQuestionAboutThePastIsAnsweredFromIt) {
  EXPECT_THAT(answer_to({{Role::kUser, "Trains are nice"}, {Role::kUser, "What did we discuss?"}}),
              HasSubstr("We have discussed this: you said “Trains are nice”"));
  EXPECT_THAT(answer_to({{Role::kUser, "What did we discuss?"}}), HasSubstr("You say"));
}

TEST(DemoAnswer, AFactAboutTheUserIsFoundAgain) {
  EXPECT_THAT(answer_to({{Role::kUser, "Hi! My name is Ada."},
                         {Role::kAssistant, "x"},
                         {Role::kUser, "I like trains"},
                         {Role::kUser, "What's my name?"}}),
              HasSubstr("You told me: “Hi! My name is Ada.”"));
  EXPECT_THAT(answer_to({{Role::kUser, "My name is Ada."}, {Role::kUser, "What is my"}}),
              HasSubstr("You say"));
}

TEST(DemoAnswer, QuotesAreOneShortLineOfWholeCharacters) {
  std::string accents;
  for (int i = 0; i < 100; ++i) accents += "é";
  const std::string answer = answer_to({{Role::kUser, "\n\n" + accents}});
  EXPECT_THAT(answer, HasSubstr("“" + accents.substr(0, 120) + "…”"));
  EXPECT_THAT(answer_to({{Role::kUser, " a\n\n  b\t"}}), HasSubstr("“a b”"));
  EXPECT_THAT(answer_to({}), HasSubstr("“”"));
}

TEST(DemoTokens, AreWordsAndPiecesOfLongOnes) {
  EXPECT_EQ(count_demo_tokens(""), 0U);
  EXPECT_EQ(count_demo_tokens("one two\n three"), 3U);
  EXPECT_EQ(count_demo_tokens(std::string(33, 'x')), 3U);
  EXPECT_EQ(count_demo_tokens(" "), 1U);
  EXPECT_EQ(first_token_bytes("ééééééééééééééééé"), 32U);
}

}  // namespace
}  // namespace colloquy::llm
