#include "exchange/markdown.h"

#include <array>
#include <ctime>
#include <string_view>

#include "base/text.h"

namespace colloquy::exchange {
namespace {

constexpr std::size_t kTitleBytes = 60;

std::string utc(std::int64_t time_s, const char* format) {
  auto seconds = static_cast<std::time_t>(time_s);
  std::tm parts{};
  std::array<char, 64> text{};
  if (gmtime_r(&seconds, &parts) == nullptr) return "0000-00-00";
  auto size = std::strftime(text.data(), text.size(), format, &parts);
  return {text.data(), size};
}

bool makes_no_name(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f ||
         std::string_view("/\\:*?\"<>|").find(c) != std::string_view::npos;
}

}  // namespace

std::string markdown_name(const store::Conversation& conversation) {
  std::string title(cut_utf8(conversation.title, kTitleBytes));
  for (auto& c : title) {
    if (makes_no_name(c)) c = ' ';
  }
  return utc(conversation.created_at_s, "%Y-%m-%d ") + title + " " + conversation.id.to_string() +
         ".md";
}

void write_markdown_head(std::string& out, const store::Conversation& conversation) {
  std::string title = conversation.title;
  for (auto& c : title) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  out += "# " + title + "\n\nBegun " + utc(conversation.created_at_s, "%Y-%m-%d %H:%M UTC") + "\n";
  if (conversation.system_prompt.empty()) return;
  out += "\n## System prompt\n\n" + conversation.system_prompt + "\n";
}

void write_markdown(std::string& out, const store::Message& message) {
  out += "\n## ";
  out += store::role_name(message.role);
  out += ", " + utc(message.timestamp_s, "%Y-%m-%d %H:%M UTC") + "\n\n";
  out += message.content;
  out += "\n";
  if (message.attachments.empty()) return;
  out += "\nAttached:\n\n";
  for (const auto& path : message.attachments) out += "- `files/" + path + "`\n";
}

}  // namespace colloquy::exchange
