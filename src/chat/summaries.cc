#include "chat/summaries.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"

namespace colloquy::chat {
namespace {

// Of one summary; older messages that are not covered yet stay out of it.
constexpr std::size_t kMessagesMost = 50;
constexpr std::size_t kBytesMost = 32 * limits::kKiB;
constexpr std::size_t kBytesOfOneMost = 4000;
constexpr std::size_t kSaidMost = 8000;
constexpr int kTokensMost = 2000;
constexpr int kSaveTries = 5;

constexpr std::string_view kInstruction =
    "You keep the summary of a conversation. From the summary so far and the messages that follow, "
    "write the new summary: what was asked, found out, decided and left open, with the names and "
    "numbers that matter, in the language of the conversation and in at most 200 words. Answer "
    "with the summary alone.";

std::string excerpt(const std::string& text) {
  auto cut = cut_utf8(text, kBytesOfOneMost);
  return std::string(cut) + (cut.size() < text.size() ? "…" : "");
}

llm::CompletionRequest request_for(const std::optional<store::ContextSummary>& before,
                                   const std::vector<store::Message>& messages, std::string model) {
  std::string text;
  if (before && !before->text.empty()) text = "Summary so far:\n" + before->text + "\n\n";
  text += "Messages:\n";
  for (const auto& message : messages) {
    text.append(store::role_name(message.role)).append(": ");
    text.append(excerpt(message.content)).append("\n\n");
  }
  llm::CompletionRequest request;
  request.model = std::move(model);
  request.sampling.max_tokens = kTokensMost;
  request.messages.push_back({llm::Role::kSystem, std::string(kInstruction)});
  request.messages.push_back({llm::Role::kUser, std::move(text)});
  return request;
}

// What the model has said, without what it thought aloud and white space around it.
std::string clean_summary(std::string_view said) {
  constexpr std::string_view kThought = "</think>";
  if (auto thought = said.rfind(kThought); thought != std::string_view::npos) {
    said.remove_prefix(thought + kThought.size());
  } else if (said.find("<think>") != std::string_view::npos) {
    return {};
  }
  constexpr std::string_view kSpace = " \t\r\n";
  auto begin = said.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  said = cut_utf8(said.substr(begin), limits::kSummaryBytes);
  return std::string(said.substr(0, said.find_last_not_of(kSpace) + 1));
}

store::Message to_stored(ContextMessage from) {
  store::Message message;
  message.id = *from.id;
  message.role = from.role == llm::Role::kAssistant ? store::Role::kAssistant
                 : from.role == llm::Role::kSystem  ? store::Role::kSystem
                                                    : store::Role::kUser;
  message.content = std::move(from.content);
  return message;
}

// The newest that one summary can take.
void keep_newest(std::vector<store::Message>& messages) {
  std::size_t bytes = 0;
  std::size_t kept = 0;
  while (kept < messages.size() && kept < kMessagesMost && bytes < kBytesMost) {
    ++kept;
    bytes += std::min(messages[messages.size() - kept].content.size(), kBytesOfOneMost);
  }
  messages.erase(messages.begin(), messages.end() - static_cast<std::ptrdiff_t>(kept));
}

}  // namespace

void Summaries::turn_ended(const boost::asio::any_io_executor& executor,
                           const store::Conversation& conversation, const store::Message& reply) {
  bool wanted = contexts_.settings_of(conversation).summary.value_or(false);
  if (!wanted || reply.status != store::MessageStatus::kComplete) return;
  {
    std::scoped_lock lock(mutex_);
    if (!busy_.insert(conversation.id).second) return;
  }
  bool started = model_.start(executor, BackgroundPurpose::kSummary,
                              make(conversation.user_id, conversation.id, reply.model));
  if (started) return;
  std::scoped_lock lock(mutex_);
  busy_.erase(conversation.id);
}

Task<> Summaries::make(UserId user, ConversationId id, std::string model) {
  struct Done {
    Summaries& summaries;
    ConversationId id;
    ~Done() {
      std::scoped_lock lock(summaries.mutex_);
      summaries.busy_.erase(id);
    }
  } done{*this, id};
  co_await make_one(std::move(user), id, std::move(model));
}

Task<> Summaries::make_one(UserId user, ConversationId id, std::string model) {
  auto gathered = co_await gather(std::move(user), id, model);
  if (gathered.messages.empty()) co_return;
  auto request = request_for(gathered.before, gathered.messages, std::move(model));
  auto said = co_await model_.ask(BackgroundPurpose::kSummary, std::move(request), kSaidMost);
  auto text = clean_summary(said);
  if (!text.empty()) co_await save(gathered, std::move(text));
}

Task<Summaries::Gathered> Summaries::gather(UserId user, ConversationId id,
                                            const std::string& model) {
  Gathered gathered;
  auto prepared = co_await contexts_.prepare(user, id, model, "", std::nullopt);
  if (!prepared) co_return gathered;
  std::vector<store::Message> given;
  for (auto& message : prepared->context.messages) {
    if (message.id) given.push_back(to_stored(std::move(message)));
  }
  gathered.conversation = std::move(prepared->conversation);
  gathered.before = std::move(prepared->summary);
  const auto& before = gathered.before;

  store::MessageRange range;
  range.limit = kMessagesMost;
  if (!given.empty()) range.before = given.front().id;
  auto fallen = co_await store_.list_messages(user, id, range);
  // Another way may be the active one by now.
  if (fallen.conversation.tree != gathered.conversation.tree) co_return gathered;
  for (auto& message : fallen.messages) {
    bool is_new = !before || message.id > before->up_to;
    bool has_ended = message.status != store::MessageStatus::kRunning;
    if (is_new && has_ended && !message.content.empty()) {
      gathered.messages.push_back(std::move(message));
    }
  }
  if (gathered.messages.empty()) co_return gathered;
  for (std::size_t i = 0; i < given.size() / 2; ++i) {
    bool is_new = !before || given[i].id > before->up_to;
    if (is_new) gathered.messages.push_back(std::move(given[i]));
  }
  keep_newest(gathered.messages);
  co_return gathered;
}

// The newest of what it was made of, where all of that is still there, on the active way.
Task<std::optional<store::Message>> Summaries::newest_if_all_there(const Gathered& gathered) {
  const auto& messages = gathered.messages;
  std::set<MessageId> there;
  std::optional<store::Message> newest;
  store::MessageRange range;
  range.limit = limits::kPageMax;
  range.after = messages.front().id.predecessor();
  bool more = true;
  while (more) {
    auto page = co_await store_.list_messages(gathered.conversation.user_id,
                                              gathered.conversation.id, range);
    for (const auto& message : page.messages) {
      there.insert(message.id);
      if (message.id == messages.back().id) newest = message;
    }
    if (!page.messages.empty()) range.after = page.messages.back().id;
    more = page.more && *range.after < messages.back().id;
  }
  bool all = std::all_of(messages.begin(), messages.end(),
                         [&](const auto& message) { return there.contains(message.id); });
  if (!all) newest.reset();
  co_return newest;
}

Task<> Summaries::save(const Gathered& gathered, std::string text) {
  const auto& seen = gathered.conversation;
  for (int tries = 0; tries < kSaveTries; ++tries) {
    auto now = co_await store_.get_conversation(seen.user_id, seen.id);
    bool same = now && now->summary == seen.summary;
    if (!same) co_return;  // dropped meanwhile, or made by another server
    auto newest = co_await newest_if_all_there(gathered);
    if (!newest) co_return;
    store::ConversationPatch patch;
    patch.summary.emplace(store::ContextSummary{text, newest->id, newest->branch});
    try {
      // Of this version all messages were there.
      co_await store_.update_conversation(seen.user_id, seen.id, std::move(patch), now->version);
      co_return;
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kNotFound) co_return;
      if (error.code() != ErrorCode::kPreconditionFailed) throw;
    }
  }
}

}  // namespace colloquy::chat
