#include "chat/context_window.h"

#include <algorithm>
#include <iterator>

namespace colloquy::chat {
namespace {

llm::Role to_llm(store::Role role) {
  switch (role) {
    case store::Role::kSystem:
      return llm::Role::kSystem;
    case store::Role::kUser:
      return llm::Role::kUser;
    case store::Role::kAssistant:
      return llm::Role::kAssistant;
  }
  return llm::Role::kUser;
}

std::vector<llm::ChatMessage> newest_with_text(const std::vector<store::Message>& history,
                                               std::size_t most) {
  std::vector<llm::ChatMessage> newest;
  for (auto message = history.rbegin(); message != history.rend() && newest.size() < most;
       ++message) {
    if (message->content.empty()) continue;
    newest.push_back({to_llm(message->role), message->content});
  }
  std::reverse(newest.begin(), newest.end());
  return newest;
}

// How many messages of `context` go together at its old end: a question and its answers, or one.
std::size_t oldest_group(const std::vector<llm::ChatMessage>& context) {
  std::size_t count = 1;
  if (context.front().role != llm::Role::kUser) return count;
  while (count < context.size() && context[count].role == llm::Role::kAssistant) ++count;
  return count;
}

}  // namespace

std::vector<llm::ChatMessage> build_context(const std::string& system_prompt,
                                            const std::vector<store::Message>& history,
                                            const std::string& prompt, const ContextPolicy& policy,
                                            const CountTokens& count_tokens) {
  auto context = newest_with_text(history, policy.newest_messages);
  if (policy.token_budget > 0) {
    std::size_t used = count_tokens(system_prompt) + count_tokens(prompt);
    for (const auto& message : context) used += count_tokens(message.content);
    while (used > policy.token_budget && !context.empty()) {
      auto group = static_cast<std::ptrdiff_t>(oldest_group(context));
      for (auto it = context.begin(); it != context.begin() + group; ++it) {
        used -= count_tokens(it->content);
      }
      context.erase(context.begin(), context.begin() + group);
    }
  }
  std::vector<llm::ChatMessage> messages;
  messages.reserve(context.size() + 2);
  if (!system_prompt.empty()) messages.push_back({llm::Role::kSystem, system_prompt});
  std::move(context.begin(), context.end(), std::back_inserter(messages));
  messages.push_back({llm::Role::kUser, prompt});
  return messages;
}

}  // namespace colloquy::chat
