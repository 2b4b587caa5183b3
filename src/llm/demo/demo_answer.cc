#include "llm/demo/demo_answer.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

namespace colloquy::llm {
namespace {

constexpr std::size_t kQuoteCharacters = 60;
constexpr std::size_t kRecalledMessages = 3;
// Of a long message only the start is looked at: nobody asks a question in a megabyte.
constexpr std::size_t kSearchedBytes = 1000;

constexpr std::string_view kAboutMe =
    "(I am Colloquy's built-in demonstration model: I only show what a model is given. For a real "
    "one, start the server with `--model openai --openai-base-url URL`.)";

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool starts_character(char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }

// In quotation marks, white space collapsed, cut at whole characters.
std::string quote(std::string_view text) {
  std::string words;
  std::size_t characters = 0;
  bool cut = false;
  for (std::size_t i = 0; i < text.size() && !cut; ++i) {
    if (is_space(text[i])) {
      if (words.empty() || words.back() == ' ') continue;
      words.push_back(' ');
      ++characters;
      continue;
    }
    cut = starts_character(text[i]) && characters == kQuoteCharacters;
    if (cut) break;
    if (starts_character(text[i])) ++characters;
    words.push_back(text[i]);
  }
  while (!words.empty() && words.back() == ' ') words.pop_back();
  return "\u201c" + words + (cut ? "\u2026" : "") + "\u201d";
}

// Lower case in ASCII, punctuation as spaces, a space at either end: so that words can be found.
std::string searchable(std::string_view text) {
  std::string out = " ";
  for (char c : text.substr(0, kSearchedBytes)) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '\'' ||
                      static_cast<unsigned char>(c) >= 0x80;
    if (word) {
      out.push_back(c);
    } else if (out.back() != ' ') {
      out.push_back(' ');
    }
  }
  if (out.back() != ' ') out.push_back(' ');
  return out;
}

bool asks_about_the_past(const std::string& prompt) {
  static constexpr std::array<std::string_view, 12> kPhrases = {
      " discuss",    " talk about ", " talked about ", " talking about ", " remember ", " recall ",
      " summarise ", " summarize ",  " summary ",      " so far ",        " did i ",    " i said "};
  return std::any_of(kPhrases.begin(), kPhrases.end(), [&](std::string_view phrase) {
    return prompt.find(phrase) != std::string::npos;
  });
}

// For "What is my NAME?": the newest earlier message that says "my NAME is".
const ChatMessage* said_about_me(const std::string& prompt,
                                 const std::vector<const ChatMessage*>& said) {
  const bool question = prompt.find(" what") != std::string::npos ||
                        prompt.find(" who") != std::string::npos ||
                        prompt.find(" which ") != std::string::npos;
  const auto my = prompt.find(" my ");
  if (!question || my == std::string::npos) return nullptr;
  const std::string wanted = prompt.substr(my, prompt.find(' ', my + 4) + 1 - my) + "is ";
  if (wanted.size() <= std::string_view(" my is ").size()) return nullptr;
  for (auto message = said.rbegin(); message != said.rend(); ++message) {
    if (searchable((*message)->content).find(wanted) != std::string::npos) return *message;
  }
  return nullptr;
}

// The newest few, oldest of them first.
std::string quotes_of(const std::vector<const ChatMessage*>& said) {
  const std::size_t count = std::min(said.size(), kRecalledMessages);
  std::string out;
  for (std::size_t i = said.size() - count; i < said.size(); ++i) {
    if (!out.empty()) out += i + 1 == said.size() ? " and " : ", ";
    out += quote(said[i]->content);
  }
  return out;
}

std::string counted(std::size_t count) {
  return std::to_string(count) + (count == 1 ? " previous message" : " previous messages");
}

}  // namespace

std::string demo_answer(const CompletionRequest& request) {
  std::string_view prompt;
  std::string_view system;
  std::size_t previous = 0;
  std::vector<const ChatMessage*> said;  // by the user, before the prompt
  for (const ChatMessage& message : request.messages) {
    if (message.role == Role::kSystem) {
      if (system.empty()) system = message.content;
    } else if (&message == &request.messages.back()) {
      prompt = message.content;
    } else {
      ++previous;
      if (message.role == Role::kUser) said.push_back(&message);
    }
  }

  const std::string asked = searchable(prompt);
  std::string out;
  if (const ChatMessage* told = said_about_me(asked, said)) {
    out = "You told me: " + quote(told->content) + ". ";
  } else if (asks_about_the_past(asked) && !said.empty()) {
    out = "We have discussed this: you said " + quotes_of(said) + ". ";
  } else {
    out = "You say " + quote(prompt) + ". ";
    if (!said.empty()) out += "Before that you said " + quotes_of(said) + ". ";
  }
  if (previous == 0) {
    out += "I see no previous messages: this is where our conversation begins. ";
  } else {
    out += "I was given " + counted(previous) + " of our conversation. ";
  }
  if (!system.empty()) out += "My system prompt is " + quote(system) + ". ";
  return out.append(kAboutMe);
}

}  // namespace colloquy::llm
