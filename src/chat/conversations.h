// Conversations and their messages, for one user at a time: checks what is
// written against the product's limits, keeps the log of what happened, and
// leaves the rest to the store. Callable from every event loop.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/task.h"
#include "chat/options.h"
#include "chat/places.h"
#include "store/store.h"

namespace colloquy::chat {

// Of a conversation that nobody has given one.
inline constexpr std::string_view kDefaultTitle = "New Conversation";

// The checks of what users write. Each throws kInvalid naming the field.
void check_title(const std::string& title);
void check_system_prompt(const std::string& text);
void check_metadata(const store::Metadata& metadata);
void check_metadata(const store::MetadataPatch& patch);
void check_ttl_seconds(std::int64_t seconds);
void check_context(const store::ContextSettings& context);
void check_content(const std::string& field, const std::string& content, std::size_t max_bytes);
void check_client_message_id(const std::string& id);

// A title made from a prompt: its first line, cut at a word.
std::string title_from_prompt(const std::string& prompt);

class Conversations {
 public:
  // The store outlives it.
  Conversations(store::Store& store, ChatOptions options) : store_(store), options_(options) {}

  // Errors as in store/store.h, and kInvalid for what the checks above refuse.
  Task<store::CreatedConversation> create(UserId user, store::NewConversation conversation,
                                          std::optional<store::IdempotencyKey> key);
  Task<store::Conversation> get(UserId user, ConversationId id);  // kNotFound
  Task<store::ConversationPage> list(UserId user, std::size_t limit,
                                     std::optional<ConversationId> after);
  Task<store::ActivityPage> list_by_activity(UserId user, std::size_t limit,
                                             std::optional<store::ActivityPosition> after);
  // `active`: a message; the newest of the ways through it becomes the active one. kInvalid, naming
  // active_message_id, where there is none.
  Task<store::Conversation> update(UserId user, ConversationId id, store::ConversationPatch patch,
                                   std::optional<std::uint64_t> if_version,
                                   std::optional<MessageId> active = std::nullopt);
  Task<> remove(UserId user, ConversationId id, std::optional<std::uint64_t> if_version);

  // Errors also those of find_place.
  Task<store::AppendedMessage> append(UserId user, ConversationId id, store::NewMessage message,
                                      PlaceRequest place, std::optional<store::IdempotencyKey> key);
  Task<store::MessagePage> messages(UserId user, ConversationId id, store::MessageRange range);
  // After all messages were read and message_count said another number (store/store.h).
  Task<> recount(UserId user, ConversationId id);
  Task<store::Message> message(UserId user, ConversationId id, MessageId message);  // kNotFound
  Task<> remove_message(UserId user, ConversationId id, MessageId message);

 private:
  store::Store& store_;
  ChatOptions options_;
};

}  // namespace colloquy::chat
