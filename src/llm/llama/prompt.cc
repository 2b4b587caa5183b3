#include "llm/llama/prompt.h"

#include <llama.h>

#include <algorithm>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

namespace colloquy::llm {
namespace {

std::string apply_template(const ModelFile& model, const std::vector<ChatMessage>& messages) {
  std::vector<llama_chat_message> chat;
  std::size_t bytes = 0;
  for (const auto& message : messages) {
    chat.push_back({role_name(message.role).data(), message.content.c_str()});
    bytes += message.content.size() + 64;
  }
  std::string text(2 * bytes + 256, '\0');
  for (;;) {
    const auto size =
        llama_chat_apply_template(model.chat_template().c_str(), chat.data(), chat.size(), true,
                                  text.data(), static_cast<std::int32_t>(text.size()));
    if (size < 0) throw invalid_field("prompt", "cannot be put into the model's chat template");
    const bool fits = static_cast<std::size_t>(size) <= text.size();
    text.resize(static_cast<std::size_t>(size));
    if (fits) return text;
  }
}

bool has_to_be_read_apart(const ModelFile& model, std::string_view text) {
  if (text.find('\0') != std::string_view::npos) return true;  // the template would end there
  if (model.has_too_long_a_word(text)) return true;
  const auto tokens = model.tokenize(text, false, true);
  return std::any_of(tokens.begin(), tokens.end(),
                     [&model](Token token) { return model.is_control(token); });
}

// What no message holds; with a number and "]]" it stands for the message of that number.
std::string mark_of(const std::vector<ChatMessage>& messages) {
  for (int i = 0;; ++i) {
    std::string mark = "[[conversation " + std::to_string(i) + ", message ";
    const bool taken = std::any_of(messages.begin(), messages.end(), [&mark](const auto& message) {
      return message.content.find(mark) != std::string::npos;
    });
    if (!taken) return mark;
  }
}

// The template around marks is read with its control tokens, the messages in their places without.
std::vector<Token> tokenize_apart(const ModelFile& model,
                                  const std::vector<ChatMessage>& messages) {
  const std::string mark = mark_of(messages);
  auto marked = messages;
  for (std::size_t i = 0; i < marked.size(); ++i) {
    marked[i].content = mark + std::to_string(i) + "]]";
  }
  const std::string text = apply_template(model, marked);
  std::string_view rest = text;
  std::vector<Token> tokens;
  auto add = [&tokens](const std::vector<Token>& more) {
    tokens.insert(tokens.end(), more.begin(), more.end());
  };
  bool beginning = true;
  for (auto at = rest.find(mark); at != std::string_view::npos; at = rest.find(mark)) {
    add(model.tokenize(rest.substr(0, at), std::exchange(beginning, false), true));
    rest.remove_prefix(at + mark.size());
    std::size_t number = 0;
    for (; !rest.empty() && rest[0] != ']'; rest.remove_prefix(1)) {
      number = number * 10 + static_cast<std::size_t>(rest[0] - '0');
    }
    rest.remove_prefix(std::min<std::size_t>(2, rest.size()));
    add(model.tokenize(messages.at(number).content, false, false));
  }
  add(model.tokenize(rest, beginning, true));
  return tokens;
}

}  // namespace

Error too_long(std::size_t tokens_max) {
  return Error(ErrorCode::kInvalid,
               "The conversation is too long for the model, whose context holds " +
                   std::to_string(tokens_max) + " tokens.")
      .with_field("prompt", "makes the conversation longer than the model's context");
}

std::vector<Token> prompt_tokens(const ModelFile& model, const std::vector<ChatMessage>& messages,
                                 std::size_t tokens_max) {
  std::size_t bytes = 0;
  for (const auto& message : messages) bytes += message.content.size();
  if (bytes / model.longest_piece_bytes() > tokens_max) throw too_long(tokens_max);
  const bool apart = std::any_of(messages.begin(), messages.end(), [&model](const auto& message) {
    return has_to_be_read_apart(model, message.content);
  });
  if (apart) return tokenize_apart(model, messages);
  return model.tokenize(apply_template(model, messages), true, true);
}

}  // namespace colloquy::llm
