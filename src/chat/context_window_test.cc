#include "chat/context_window.h"

#include <gtest/gtest.h>

namespace colloquy::chat {
namespace {

using store::Message;
using store::Role;

std::size_t count_bytes(std::string_view text) { return text.size(); }

Message message(Role role, std::string content) {
  Message message;
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

std::string shown(const std::vector<llm::ChatMessage>& context) {
  std::string text;
  for (const auto& message : context) text += message.content + " ";
  return text;
}

TEST(ContextWindow, HasExactlyTheNewestMessagesAndThePrompt) {
  auto context = build_context("", dialogue(10), "now", {.newest_messages = 5}, count_bytes);
  EXPECT_EQ(shown(context), "a7 q8 a8 q9 a9 now ");
  EXPECT_EQ(context.front().role, llm::Role::kAssistant);
  EXPECT_EQ(context.back().role, llm::Role::kUser);
}

TEST(ContextWindow, PutsTheSystemPromptFirst) {
  auto context = build_context("be brief", dialogue(1), "now", {.newest_messages = 1}, count_bytes);
  EXPECT_EQ(shown(context), "be brief a0 now ");
  EXPECT_EQ(context.front().role, llm::Role::kSystem);
}

TEST(ContextWindow, WithoutHistoryIsThePromptAlone) {
  EXPECT_EQ(shown(build_context("", {}, "now", {.newest_messages = 5}, count_bytes)), "now ");
  EXPECT_EQ(shown(build_context("", dialogue(2), "now", {.newest_messages = 0}, count_bytes)),
            "now ");
}

TEST(ContextWindow, LeavesOutAnAnswerThatIsStillRunning) {
  auto history = dialogue(2);
  history.push_back(message(Role::kUser, "q2"));
  history.push_back(message(Role::kAssistant, ""));
  auto context = build_context("", history, "now", {.newest_messages = 3}, count_bytes);
  EXPECT_EQ(shown(context), "q1 a1 q2 now ");
}

TEST(ContextWindow, ABudgetCutsWholePairsFromTheOldEnd) {
  // Each of the messages counts 2, the prompt 3.
  ContextPolicy policy{.newest_messages = 100, .token_budget = 3 + 4 + 1};
  auto context = build_context("", dialogue(3), "now", policy, count_bytes);
  EXPECT_EQ(shown(context), "q2 a2 now ");
  // An answer whose question the count of messages cut off goes by itself.
  policy.newest_messages = 3;
  policy.token_budget = 3 + 4;
  EXPECT_EQ(shown(build_context("", dialogue(3), "now", policy, count_bytes)), "q2 a2 now ");
}

TEST(ContextWindow, ABudgetNeverCutsTheSystemPromptOrThePrompt) {
  auto context = build_context("system", dialogue(3), "prompt",
                               {.newest_messages = 5, .token_budget = 1}, count_bytes);
  EXPECT_EQ(shown(context), "system prompt ");
}

}  // namespace
}  // namespace colloquy::chat
