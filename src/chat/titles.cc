#include "chat/titles.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "chat/conversations.h"

namespace colloquy::chat {
namespace {

constexpr std::size_t kTitleMost = 60;
constexpr std::size_t kSaidMost = 4000;  // a model that thinks aloud first
constexpr std::size_t kExcerptMost = 2000;
constexpr int kTokensMost = 1000;

constexpr std::string_view kInstruction =
    "You give conversations their titles. Answer with the title alone: at most six words, in the "
    "language of the conversation, on one line, without quotation marks and without a full stop.";

constexpr std::array<std::string_view, 14> kMarks{"\"", "'", "`", "*", "_", "#", " ",
                                                  "\t", "“", "”", "„", "«", "»", "‘"};

bool strip_front(std::string_view& text, std::string_view mark) {
  if (!text.starts_with(mark)) return false;
  text.remove_prefix(mark.size());
  return true;
}

bool strip_back(std::string_view& text, std::string_view mark) {
  if (!text.ends_with(mark)) return false;
  text.remove_suffix(mark.size());
  return true;
}

std::string_view without_marks(std::string_view text) {
  auto strip_any = [&](auto strip) {
    return std::any_of(kMarks.begin(), kMarks.end(),
                       [&](std::string_view mark) { return strip(text, mark); });
  };
  while (strip_any(strip_front)) {
  }
  while (strip_any(strip_back) || strip_back(text, "’") || strip_back(text, ".")) {
  }
  return text;
}

std::string_view first_line(std::string_view text) {
  auto begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  text.remove_prefix(begin);
  return text.substr(0, text.find_first_of("\r\n"));
}

std::string excerpt(const std::string& text) { return std::string(cut_utf8(text, kExcerptMost)); }

}  // namespace

std::string clean_title(std::string_view said) {
  constexpr std::string_view kThought = "</think>";
  if (auto thought = said.rfind(kThought); thought != std::string_view::npos) {
    said.remove_prefix(thought + kThought.size());
  } else if (said.find("<think>") != std::string_view::npos) {
    return {};  // it has not come to the title
  }
  auto title = without_marks(first_line(said));
  constexpr std::string_view kLabel = "title:";
  if (equals_ignoring_case(title.substr(0, kLabel.size()), kLabel)) {
    title = without_marks(title.substr(kLabel.size()));
  }
  std::string clean;
  std::copy_if(title.begin(), title.end(), std::back_inserter(clean),
               [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
  if (clean.size() <= kTitleMost) return clean;
  constexpr std::string_view kCut = "…";
  auto cut = cut_utf8(clean, kTitleMost - kCut.size());
  if (auto space = cut.rfind(' '); space != std::string_view::npos && space > kTitleMost / 2) {
    cut = cut.substr(0, space);
  }
  return std::string(cut).append(kCut);
}

void Titles::turn_ended(const boost::asio::any_io_executor& executor,
                        const store::Conversation& conversation, const store::Message& reply) {
  bool is_first = conversation.message_count == 2 && conversation.tree.plain();
  if (!is_first || reply.status != store::MessageStatus::kComplete || reply.content.empty()) return;
  model_.start(executor, BackgroundPurpose::kTitle, make(conversation, reply.model));
}

Task<> Titles::make(store::Conversation conversation, std::string model) {
  store::MessageRange range;
  range.limit = 2;
  auto page = co_await store_.list_messages(conversation.user_id, conversation.id, range);
  if (page.messages.size() != 2 || page.messages[0].role != store::Role::kUser) co_return;
  const auto& prompt = page.messages[0].content;
  const auto& answer = page.messages[1].content;
  const auto& title = page.conversation.title;
  if (title != kDefaultTitle && title != title_from_prompt(prompt)) co_return;

  llm::CompletionRequest request;
  request.model = std::move(model);
  request.sampling.max_tokens = kTokensMost;
  request.messages.push_back({llm::Role::kSystem, std::string(kInstruction)});
  request.messages.push_back(
      {llm::Role::kUser, "Give this conversation its title.\n\nUser: " + excerpt(prompt) +
                             "\n\nAssistant: " + excerpt(answer)});
  auto said = co_await model_.ask(BackgroundPurpose::kTitle, std::move(request), kSaidMost);

  store::ConversationPatch patch;
  patch.title = clean_title(said);
  patch.if_title = title;
  if (patch.title->empty() || *patch.title == title) co_return;
  try {
    co_await store_.update_conversation(conversation.user_id, conversation.id, std::move(patch),
                                        {});
  } catch (const Error& error) {
    // Somebody was quicker, or it is gone.
    bool is_moot =
        error.code() == ErrorCode::kPreconditionFailed || error.code() == ErrorCode::kNotFound;
    if (!is_moot) throw;
  }
}

}  // namespace colloquy::chat
