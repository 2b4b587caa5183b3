#include "chat/conversations.h"

#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "telemetry/log.h"

namespace colloquy::chat {
namespace {

std::string at_most(std::size_t bytes) {
  return "must be at most " + std::to_string(bytes) + " bytes of UTF-8";
}

void check_pair(const std::string& key, const std::string& value) {
  if (key.empty() || key.size() > limits::kMetadataKeyBytes) {
    throw invalid_field("metadata", "has a key that is empty or longer than " +
                                        std::to_string(limits::kMetadataKeyBytes) + " bytes");
  }
  if (value.size() > limits::kMetadataValueBytes) {
    throw invalid_field("metadata." + key, at_most(limits::kMetadataValueBytes));
  }
}

constexpr int kUpdateTries = 20;

// Of a patch that makes `current` temporary, or not, without saying for how long: a time to live of
// its own that it had before, it keeps.
store::ConversationPatch with_ttl(store::ConversationPatch patch,
                                  const store::Conversation& current,
                                  std::int64_t temporary_ttl_seconds) {
  if (*patch.temporary == current.temporary) return patch;
  patch.ttl_seconds.emplace();
  if (*patch.temporary) *patch.ttl_seconds = temporary_ttl_seconds;
  return patch;
}

}  // namespace

void check_title(const std::string& title) {
  if (title.empty()) throw invalid_field("title", "must not be empty");
  if (title.size() > limits::kTitleBytes)
    throw invalid_field("title", at_most(limits::kTitleBytes));
}

void check_system_prompt(const std::string& text) {
  if (text.size() > limits::kSystemPromptBytes) {
    throw invalid_field("system_prompt", at_most(limits::kSystemPromptBytes));
  }
}

void check_metadata(const store::Metadata& metadata) {
  if (metadata.size() > limits::kMetadataPairs) {
    throw invalid_field("metadata",
                        "must have at most " + std::to_string(limits::kMetadataPairs) + " pairs");
  }
  for (const auto& [key, value] : metadata) check_pair(key, value);
}

void check_metadata(const store::MetadataPatch& patch) {
  for (const auto& [key, value] : patch.pairs) {
    if (value) check_pair(key, *value);
  }
}

void check_ttl_seconds(std::int64_t seconds) {
  if (seconds < 1 || seconds > limits::kTtlSecondsMax) {
    throw invalid_field("ttl_seconds",
                        "must be between 1 and " + std::to_string(limits::kTtlSecondsMax));
  }
}

void check_context(const store::ContextSettings& context) {
  if (context.messages && *context.messages > limits::kContextMessagesMax) {
    throw invalid_field("context.messages",
                        "must be at most " + std::to_string(limits::kContextMessagesMax));
  }
  if (context.tokens && (*context.tokens < 1 || *context.tokens > limits::kContextTokensMax)) {
    throw invalid_field("context.tokens",
                        "must be between 1 and " + std::to_string(limits::kContextTokensMax));
  }
}

void check_content(const std::string& field, const std::string& content, std::size_t max_bytes) {
  if (content.empty()) throw invalid_field(field, "must not be empty");
  if (content.size() > max_bytes) {
    throw Error(ErrorCode::kTooLarge, "The text is too long.")
        .with_field(field, at_most(max_bytes));
  }
}

void check_client_message_id(const std::string& id) {
  if (id.size() > limits::kIdempotencyKeyBytes) {
    throw invalid_field("client_message_id", at_most(limits::kIdempotencyKeyBytes));
  }
}

std::string title_from_prompt(const std::string& prompt) {
  constexpr std::size_t kMost = 60;
  auto first = prompt.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return std::string(kDefaultTitle);
  auto last = prompt.find_first_of("\r\n", first);
  std::string line = prompt.substr(first, last == std::string::npos ? last : last - first);
  if (line.size() <= kMost) return line;
  auto cut = cut_utf8(line, kMost);
  if (auto space = cut.rfind(' '); space != std::string_view::npos && space > kMost / 2) {
    cut = cut.substr(0, space);
  }
  return std::string(cut) + "…";
}

Task<store::CreatedConversation> Conversations::create(UserId user,
                                                       store::NewConversation conversation,
                                                       std::optional<store::IdempotencyKey> key) {
  check_title(conversation.title);
  check_system_prompt(conversation.system_prompt);
  check_metadata(conversation.metadata);
  if (conversation.ttl_seconds) check_ttl_seconds(*conversation.ttl_seconds);
  if (conversation.temporary && !conversation.ttl_seconds) {
    conversation.ttl_seconds = options_.temporary_ttl_seconds;
  }
  check_context(conversation.context);
  auto created = co_await store_.create_conversation(user, std::move(conversation), std::move(key));
  if (!created.replayed) {
    telemetry::log_info(
        "conversation.created",
        {{"user_id", user.value()}, {"conversation_id", created.conversation.id.to_string()}});
  }
  co_return created;
}

Task<store::Conversation> Conversations::get(UserId user, ConversationId id) {
  auto conversation = co_await store_.get_conversation(std::move(user), id);
  if (!conversation) throw not_found();
  co_return std::move(*conversation);
}

Task<store::ConversationPage> Conversations::list(UserId user, std::size_t limit,
                                                  std::optional<ConversationId> after) {
  return store_.list_conversations(std::move(user), limit, after);
}

Task<store::ActivityPage> Conversations::list_by_activity(
    UserId user, std::size_t limit, std::optional<store::ActivityPosition> after) {
  return store_.list_by_activity(std::move(user), limit, after);
}

Task<store::Conversation> Conversations::update(UserId user, ConversationId id,
                                                store::ConversationPatch patch,
                                                std::optional<std::uint64_t> if_version,
                                                std::optional<MessageId> active) {
  if (patch.title) check_title(*patch.title);
  if (patch.system_prompt) check_system_prompt(*patch.system_prompt);
  if (patch.metadata) check_metadata(*patch.metadata);
  if (patch.ttl_seconds && *patch.ttl_seconds) check_ttl_seconds(**patch.ttl_seconds);
  bool finds_ttl = patch.temporary && !patch.ttl_seconds;
  if (patch.temporary && *patch.temporary && patch.ttl_seconds && !*patch.ttl_seconds) {
    throw invalid_field("ttl_seconds", "must not be null where temporary is true");
  }
  if (patch.context) check_context(store::patched({}, *patch.context));
  if (active) {
    auto message = co_await find_named(store_, user, id, *active, "active_message_id");
    patch.active = store::TreePlace{message.branch, message.id};
  }
  if (!finds_ttl) {
    co_return co_await store_.update_conversation(std::move(user), id, std::move(patch),
                                                  if_version);
  }
  for (int tries = 1;; ++tries) {
    auto current = co_await get(user, id);
    auto decided = with_ttl(patch, current, options_.temporary_ttl_seconds);
    auto version = if_version.value_or(current.version);
    try {
      co_return co_await store_.update_conversation(user, id, std::move(decided), version);
    } catch (const Error& error) {
      // Another change came between.
      bool again = error.code() == ErrorCode::kPreconditionFailed && !if_version;
      if (!again || tries == kUpdateTries) throw;
    }
  }
}

Task<> Conversations::remove(UserId user, ConversationId id,
                             std::optional<std::uint64_t> if_version) {
  co_await store_.delete_conversation(user, id, if_version);
  telemetry::log_info("conversation.deleted",
                      {{"user_id", user.value()}, {"conversation_id", id.to_string()}});
}

Task<store::AppendedMessage> Conversations::append(UserId user, ConversationId id,
                                                   store::NewMessage message, PlaceRequest place,
                                                   std::optional<store::IdempotencyKey> key) {
  check_content("content", message.content, options_.max_content_bytes);
  check_metadata(message.metadata);
  check_client_message_id(message.client_message_id);
  std::optional<Error> refusal;
  try {
    message.place = co_await find_place(store_, user, id, place);
  } catch (const Error& error) {
    if (!key || error.code() != ErrorCode::kInvalid) throw;
    refusal = error;
  }
  if (refusal) {
    // The message that it names may have been there when this was sent first.
    auto earlier = co_await store_.find_appended(user, id, *key);
    if (earlier) co_return std::move(*earlier);
    throw std::move(*refusal);
  }
  auto appended = co_await store_.append_message(user, id, std::move(message), std::move(key));
  if (!appended.replayed) {
    telemetry::log_info("message.added", {{"user_id", user.value()},
                                          {"conversation_id", id.to_string()},
                                          {"message_id", appended.message.id.to_string()},
                                          {"role", store::role_name(appended.message.role)}});
  }
  co_return appended;
}

Task<store::MessagePage> Conversations::messages(UserId user, ConversationId id,
                                                 store::MessageRange range) {
  return store_.list_messages(std::move(user), id, range);
}

Task<> Conversations::recount(UserId user, ConversationId id) {
  return store_.recount(std::move(user), id);
}

Task<store::Message> Conversations::message(UserId user, ConversationId id, MessageId message) {
  auto found = co_await store_.get_message(std::move(user), id, message);
  if (!found) throw not_found();
  co_return std::move(*found);
}

Task<> Conversations::remove_message(UserId user, ConversationId id, MessageId message) {
  co_await store_.delete_message(user, id, message);
  telemetry::log_info("message.deleted", {{"user_id", user.value()},
                                          {"conversation_id", id.to_string()},
                                          {"message_id", message.to_string()}});
}

}  // namespace colloquy::chat
