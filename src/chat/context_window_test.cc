#include "chat/context_window.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace colloquy::chat {
namespace {

using store::ContextSettings;
using store::Message;
using store::Role;

std::size_t count_bytes(std::string_view text) { return text.size(); }

Message message(Role role, std::string content) {
  static std::uint64_t last = 0;
  Message message;
  message.id = MessageId(Uuid::make_v7(1, 0, ++last));
  message.role = role;
  message.content = std::move(content);
  return message;
}

std::vector<Message> dialogue(int pairs) {
  std::vector<Message> history;
  for (int i = 0; i < pairs; ++i) {
    history.push_back(message(Role::kUser, "q" + std::to_string(i)));
    history.push_back(message(Role::kAssistant, "a" + std::to_string(i)));
  }
  return history;
}

ContextSource source(std::vector<Message> history, std::string system_prompt = {}) {
  return {std::move(system_prompt), {}, std::move(history), true};
}

std::string shown(const Context& context) {
  std::string text;
  for (const auto& message : context.messages) text += message.content + " ";
  return text;
}

Context newest(std::uint32_t messages, ContextSource from) {
  return build_context(std::move(from), {messages, {}, {}}, "now", {});
}

Context within(std::uint32_t tokens, ContextSource from, const std::string& prompt = "now") {
  return build_context(std::move(from), {{}, tokens, {}}, prompt, count_bytes);
}

TEST(ContextWindow, HasExactlyTheNewestMessagesAndThePrompt) {
  auto context = newest(5, source(dialogue(10)));
  EXPECT_EQ(shown(context), "a7 q8 a8 q9 a9 now ");
  EXPECT_EQ(context.messages.front().role, llm::Role::kAssistant);
  EXPECT_EQ(context.messages.back().role, llm::Role::kUser);
  EXPECT_EQ(context.messages.back().part, ContextPart::kPrompt);
  EXPECT_EQ(context.tokens, 0U);
}

TEST(ContextWindow, PutsTheSystemPromptFirst) {
  auto context = newest(1, source(dialogue(1), "be brief"));
  EXPECT_EQ(shown(context), "be brief a0 now ");
  EXPECT_EQ(context.messages.front().role, llm::Role::kSystem);
}

TEST(ContextWindow, WithoutHistoryIsThePromptAlone) {
  EXPECT_EQ(shown(newest(5, source({}))), "now ");
  EXPECT_EQ(shown(newest(0, source(dialogue(2)))), "now ");
}

TEST(ContextWindow, LeavesOutAnAnswerThatIsStillRunning) {
  auto history = dialogue(2);
  history.push_back(message(Role::kUser, "q2"));
  history.push_back(message(Role::kAssistant, ""));
  EXPECT_EQ(shown(newest(3, source(history))), "q1 a1 q2 now ");
}

TEST(ContextWindow, ABudgetCutsWholePairsFromTheOldEnd) {
  // Each of the messages counts 2, the prompt 3.
  auto context = within(3 + 4 + 3, source(dialogue(3)));
  EXPECT_EQ(shown(context), "q2 a2 now ");
  EXPECT_EQ(context.tokens, 7U);
  EXPECT_TRUE(context.over_budget);
  context = within(3 + 4 + 4, source(dialogue(3)));
  EXPECT_EQ(shown(context), "q1 a1 q2 a2 now ");
  context = within(100, source(dialogue(3)));
  EXPECT_EQ(context.messages.size(), 7U);
  EXPECT_FALSE(context.over_budget);
}

TEST(ContextWindow, CountsThePromptFirstAndThenFromTheNewestBack) {
  std::vector<std::string> counted;
  auto context = build_context(source(dialogue(2), "system"), {{}, 100, {}}, "now",
                               [&](std::string_view text) {
                                 counted.emplace_back(text);
                                 return text.size();
                               });
  EXPECT_EQ(counted, (std::vector<std::string>{"now", "system", "a1", "q1", "a0", "q0"}));
}

TEST(ContextWindow, AQuestionStaysWithAllOfItsAnswersOrGoesWithThem) {
  std::vector<Message> history{message(Role::kUser, "q0"),     message(Role::kAssistant, "a0"),
                               message(Role::kSystem, "s1"),   message(Role::kAssistant, "b1"),
                               message(Role::kUser, "q2"),     message(Role::kAssistant, "a2"),
                               message(Role::kAssistant, "b2")};
  EXPECT_EQ(shown(within(3 + 5, source(history))), "now ");
  EXPECT_EQ(shown(within(3 + 6, source(history))), "q2 a2 b2 now ");
  EXPECT_EQ(shown(within(3 + 8, source(history))), "b1 q2 a2 b2 now ");
  EXPECT_EQ(shown(within(3 + 13, source(history))), "s1 b1 q2 a2 b2 now ");
  EXPECT_EQ(shown(within(3 + 14, source(history))), "q0 a0 s1 b1 q2 a2 b2 now ");
}

TEST(ContextWindow, AnAnswerWhoseQuestionWasNotReadGoesUnlessItIsOneOfSoMany) {
  auto history = dialogue(2);
  history.erase(history.begin());
  auto cut_off = source(history);
  cut_off.whole = false;
  EXPECT_EQ(shown(within(100, cut_off)), "q1 a1 now ");
  EXPECT_EQ(shown(within(100, source(history))), "a0 q1 a1 now ");
  auto both = build_context(cut_off, {3, 100, {}}, "now", count_bytes);
  EXPECT_EQ(shown(both), "a0 q1 a1 now ");
  both = build_context(cut_off, {3, 3 + 4, {}}, "now", count_bytes);
  EXPECT_EQ(shown(both), "q1 a1 now ");
}

TEST(ContextWindow, APromptThatDoesNotFitTheBudgetIsRefused) {
  EXPECT_EQ(shown(within(12, source(dialogue(3), "system"), "prompt")), "system prompt ");
  try {
    within(11, source(dialogue(3), "system"), "prompt");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kTooLarge);
    ASSERT_EQ(error.fields().size(), 1U);
    EXPECT_EQ(error.fields().front().field, "prompt");
  }
}

TEST(ContextWindow, TheSummaryIsPartOfTheSystemPromptWhereItFits) {
  auto from = source(dialogue(1), "system");
  from.summary = store::ContextSummary{"in short", {}};
  const std::string text = "system\n\nSummary of the earlier conversation:\nin short";
  auto context = newest(1, from);
  EXPECT_TRUE(context.summary_given);
  EXPECT_EQ(shown(context), text + " a0 now ");
  context = within(static_cast<std::uint32_t>(text.size()) + 3, from);
  EXPECT_EQ(shown(context), text + " now ");
  context = within(static_cast<std::uint32_t>(text.size()) + 2, from);
  EXPECT_FALSE(context.summary_given);
  EXPECT_EQ(shown(context), "system q0 a0 now ");
  from.system_prompt.clear();
  EXPECT_EQ(newest(0, from).messages.front().content,
            "Summary of the earlier conversation:\nin short");
}

}  // namespace
}  // namespace colloquy::chat
