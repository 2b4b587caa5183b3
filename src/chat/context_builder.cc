#include "chat/context_builder.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/error.h"
#include "chat/conversations.h"

namespace colloquy::chat {
namespace {

constexpr std::size_t kExplainedMessages = 200;

// The counter, if there is one, outlives what is returned.
CountTokens count_by(std::optional<TokenCounter>& counter) {
  if (!counter) return {};
  return [&counter](std::string_view text) { return counter->message(text); };
}

}  // namespace

void check_model(const llm::Provider& provider, const std::string& model) {
  const auto& models = provider.models();
  if (!model.empty() && std::find(models.begin(), models.end(), model) == models.end()) {
    throw invalid_field("model", "is not one of this server's models");
  }
}

ContextBuilder::ContextBuilder(store::Store& store, llm::Provider& provider,
                               const ChatOptions& options)
    : store_(store),
      provider_(provider),
      usual_(options.context()),
      max_content_bytes_(options.max_content_bytes) {}

std::optional<TokenCounter> ContextBuilder::counter(const std::string& model,
                                                    const store::ContextSettings& settings,
                                                    Counting counting) const {
  if (counting == Counting::kWhereNeeded && !settings.tokens) return std::nullopt;
  return TokenCounter(provider_, model);
}

Task<std::optional<PreparedContext>> ContextBuilder::prepare(UserId user, ConversationId id,
                                                             std::string model, std::string prompt,
                                                             std::optional<store::TreePlace> place,
                                                             Counting counting) {
  auto recent = co_await store_.read_recent(std::move(user), id, usual_, place);
  if (!recent) co_return std::nullopt;
  PreparedContext prepared;
  prepared.settings = settings_of(recent->conversation);
  prepared.newest = recent->newest;
  prepared.whole = recent->whole;
  const auto& tree = recent->conversation.tree;
  prepared.way = place ? store::Path::to(tree, *place) : store::Path::active(tree);
  const auto& summary = recent->conversation.summary;
  if (summary && prepared.way.contains(summary->branch, summary->up_to)) prepared.summary = summary;
  ContextSource source;
  source.system_prompt = recent->conversation.system_prompt;
  if (prepared.settings.summary.value_or(false)) source.summary = prepared.summary;
  source.history = std::move(recent->messages);
  source.whole = recent->whole;
  prepared.conversation = std::move(recent->conversation);
  auto tokens = counter(model, prepared.settings, counting);
  prepared.context =
      build_context(std::move(source), prepared.settings, std::move(prompt), count_by(tokens));
  prepared.estimated = tokens && tokens->estimates();
  co_return prepared;
}

Task<std::optional<PreparedContext>> ContextBuilder::prepare(
    UserId user, ConversationId id, std::string model, std::string prompt,
    std::optional<store::TreePlace> place) {
  return prepare(std::move(user), id, std::move(model), std::move(prompt), place,
                 Counting::kWhereNeeded);
}

Context ContextBuilder::first(const std::string& model, std::string prompt) const {
  auto tokens = counter(model, usual_, Counting::kWhereNeeded);
  return build_context({}, usual_, std::move(prompt), count_by(tokens));
}

Task<ExplainedContext> ContextBuilder::explain(UserId user, ConversationId id, std::string model,
                                               std::string prompt, PlaceRequest asked) {
  check_content("prompt", prompt, max_content_bytes_);
  check_model(provider_, model);
  if (model.empty()) model = provider_.models().front();
  auto place = co_await find_place(store_, user, id, asked);
  auto prepared = co_await prepare(user, id, model, std::move(prompt), place, Counting::kAlways);
  if (!prepared) throw not_found();
  ExplainedContext explained;
  explained.prepared = std::move(*prepared);
  explained.model = std::move(model);
  co_await explain_left_out(explained, place);
  co_return explained;
}

// Of a way that is not the active one, what there is of it among the newest messages of all.
Task<> ContextBuilder::explain_left_out(ExplainedContext& explained,
                                        std::optional<store::TreePlace> place) {
  const auto& prepared = explained.prepared;
  const auto& conversation = prepared.conversation;
  std::set<MessageId> given;
  for (const auto& message : prepared.context.messages) {
    if (message.id) given.insert(*message.id);
  }
  store::MessageRange range;
  range.limit = kExplainedMessages;
  if (place) {
    range.all_branches = true;
    range.before = place->after.successor();
  }
  auto page = co_await store_.list_messages(conversation.user_id, conversation.id, range);
  const auto& segments = prepared.way.segments();
  explained.more_left_out =
      page.more && !segments.empty() && segments.back().first < page.messages.front().id;
  const auto& settings = prepared.settings;
  bool is_counted_out = settings.messages && given.size() >= *settings.messages;
  for (const auto& message : page.messages) {
    // What was added since the context was read is not what is explained.
    if (given.contains(message.id) || !prepared.newest || message.id > *prepared.newest) continue;
    if (place && !prepared.way.contains(message.branch, message.id)) continue;
    auto reason = is_counted_out ? LeftOutReason::kMessages : LeftOutReason::kTokens;
    LeftOutMessage left{message.id, message.role, reason, false};
    if (message.content.empty()) left.reason = LeftOutReason::kNoText;
    left.summarized = prepared.context.summary_given && !message.content.empty() &&
                      message.id <= prepared.summary->up_to;
    explained.left_out.push_back(left);
  }
}

}  // namespace colloquy::chat
