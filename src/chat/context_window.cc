#include "chat/context_window.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include "base/error.h"

namespace colloquy::chat {
namespace {

constexpr std::string_view kSummaryHeading = "Summary of the earlier conversation:\n";

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

std::vector<ContextMessage> newest_with_text(std::vector<store::Message> history,
                                             std::size_t most) {
  std::vector<ContextMessage> newest;
  for (auto message = history.rbegin(); message != history.rend() && newest.size() < most;
       ++message) {
    if (message->content.empty()) continue;
    newest.push_back({ContextPart::kMessage, to_llm(message->role), std::move(message->content),
                      message->id, 0});
  }
  std::reverse(newest.begin(), newest.end());
  return newest;
}

// Where the group begins that ends before `end`: a question and its answers, or what stands alone.
std::size_t group_start(const std::vector<ContextMessage>& messages, std::size_t end) {
  auto start = end - 1;
  while (start > 0 && messages[start].role == llm::Role::kAssistant) --start;
  if (messages[start].role == llm::Role::kSystem && start + 1 < end) ++start;
  return start;
}

std::string system_text(const std::string& system_prompt,
                        const std::optional<store::ContextSummary>& summary) {
  if (!summary || summary->text.empty()) return system_prompt;
  std::string text = system_prompt;
  if (!text.empty()) text += "\n\n";
  return text.append(kSummaryHeading).append(summary->text);
}

// What always stays, and whether the summary does.
struct Frame {
  ContextMessage system;
  ContextMessage prompt;
  bool summary_given = false;
  std::size_t tokens() const { return system.tokens + prompt.tokens; }
};

Frame make_frame(const ContextSource& source, std::string prompt, std::size_t budget,
                 const CountTokens& count) {
  auto tokens_of = [&](const std::string& text) { return count ? count(text) : 0; };
  Frame frame;
  frame.prompt = {ContextPart::kPrompt, llm::Role::kUser, std::move(prompt), std::nullopt, 0};
  frame.prompt.tokens = tokens_of(frame.prompt.content);
  auto set_system = [&](std::string text) {
    auto tokens = tokens_of(text);
    frame.system = {ContextPart::kSystemPrompt, llm::Role::kSystem, std::move(text), {}, tokens};
  };
  set_system(system_text(source.system_prompt, source.summary));
  frame.summary_given = frame.system.content.size() > source.system_prompt.size();
  if (frame.tokens() > budget && frame.summary_given) {
    set_system(source.system_prompt);
    frame.summary_given = false;
  }
  if (frame.tokens() > budget) {
    throw Error(ErrorCode::kTooLarge, "The prompt does not fit the context.")
        .with_field("prompt", "is " + std::to_string(frame.tokens()) +
                                  " tokens with the system prompt, and the context may have " +
                                  std::to_string(budget));
  }
  return frame;
}

// How many messages at the old end have to go, so that the others fit into `room`.
std::size_t over_budget(std::vector<ContextMessage>& messages, std::size_t room, bool may_begin,
                        const CountTokens& count) {
  std::size_t end = messages.size();
  while (end > 0) {
    auto start = group_start(messages, end);
    // The question of the first answer was not even read.
    if (start == 0 && messages[start].role == llm::Role::kAssistant && !may_begin) break;
    std::size_t tokens = 0;
    for (auto i = end; i-- > start;) {
      messages[i].tokens = count(messages[i].content);
      tokens += messages[i].tokens;
    }
    if (tokens > room) break;
    room -= tokens;
    end = start;
  }
  return end;
}

}  // namespace

Context build_context(ContextSource source, const store::ContextSettings& settings,
                      std::string prompt, const CountTokens& count) {
  constexpr auto kNoBudget = std::numeric_limits<std::size_t>::max();
  const std::size_t budget = settings.tokens ? *settings.tokens : kNoBudget;
  auto frame = make_frame(source, std::move(prompt), budget, count);
  auto history =
      newest_with_text(std::move(source.history), store::recent_range(settings).messages);
  Context context;
  context.summary_given = frame.summary_given;
  if (count) {
    // An answer at the beginning that is one of exactly so many stays.
    bool may_begin = settings.messages || source.whole;
    auto cut = over_budget(history, budget - frame.tokens(), may_begin, count);
    if (cut > 0) context.over_budget = history[cut - 1].id;
    history.erase(history.begin(), history.begin() + static_cast<std::ptrdiff_t>(cut));
  }
  context.messages.reserve(history.size() + 2);
  if (!frame.system.content.empty()) context.messages.push_back(std::move(frame.system));
  std::move(history.begin(), history.end(), std::back_inserter(context.messages));
  context.messages.push_back(std::move(frame.prompt));
  for (const auto& message : context.messages) context.tokens += message.tokens;
  return context;
}

std::vector<llm::ChatMessage> to_chat_messages(Context context) {
  std::vector<llm::ChatMessage> messages;
  messages.reserve(context.messages.size());
  for (auto& message : context.messages) {
    messages.push_back({message.role, std::move(message.content)});
  }
  return messages;
}

}  // namespace colloquy::chat
