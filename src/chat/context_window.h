// What the model is given of a conversation, and what not. Pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "llm/provider.h"
#include "store/types.h"

namespace colloquy::chat {

// The tokens of a message with this text.
using CountTokens = std::function<std::size_t(std::string_view)>;

enum class ContextPart : std::uint8_t { kSystemPrompt, kMessage, kPrompt };

struct ContextMessage {
  ContextPart part = ContextPart::kMessage;
  llm::Role role = llm::Role::kUser;
  std::string content;
  std::optional<MessageId> id;  // kMessage
  std::size_t tokens = 0;       // 0 where they are not counted
};

struct Context {
  std::vector<ContextMessage> messages;  // in the order in which the model is given them
  std::size_t tokens = 0;                // of all of them; 0 where they are not counted
  bool summary_given = false;            // as part of the system prompt
  std::optional<MessageId> over_budget;  // the newest message that does not fit the tokens
};

// What it is made of.
struct ContextSource {
  std::string system_prompt;
  std::optional<store::ContextSummary> summary;
  std::vector<store::Message> history;  // oldest first; those without a text take no place
  bool whole = true;                    // there is no message before them
};

// The system prompt (if any) with the summary, then the newest of the history that the settings
// (resolved) allow, then the prompt. A number of messages is kept exactly. A budget of tokens is
// for all that the model is given: what does not fit goes from the old end in whole pairs, so that
// an answer never stays without its question; the summary goes before the last message does not
// fit; the system prompt and the prompt always stay, and where they alone are too many:
// kTooLarge, naming "prompt". Without a budget, `count` may be empty and nothing is counted. Else
// it is called for the prompt, for the system prompt, then for the messages from the newest back.
Context build_context(ContextSource source, const store::ContextSettings& settings,
                      std::string prompt, const CountTokens& count);

// As the model is given it.
std::vector<llm::ChatMessage> to_chat_messages(Context context);

}  // namespace colloquy::chat
