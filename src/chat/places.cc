#include "chat/places.h"

#include <string>
#include <utility>

#include "base/error.h"

namespace colloquy::chat {

store::TreePlace place_before(const store::Message& message) {
  return {message.branch, message.id.predecessor()};
}

Task<store::Message> find_named(store::Store& store, UserId user, ConversationId id,
                                MessageId message, std::string field) {
  auto found = co_await store.get_message(user, id, message);
  if (found) co_return std::move(*found);
  auto conversation = co_await store.get_conversation(std::move(user), id);
  if (!conversation) throw not_found();
  throw invalid_field(std::move(field), "names no message of this conversation");
}

Task<std::optional<store::TreePlace>> find_place(store::Store& store, UserId user,
                                                 ConversationId id, PlaceRequest asked) {
  if (asked.edit_of) {
    auto edited = co_await find_named(store, user, id, *asked.edit_of, "edit_of");
    if (edited.role != store::Role::kUser) {
      throw invalid_field("edit_of", "names a message that is not the user's");
    }
    if (!edited.parent) co_return store::TreePlace{};
    auto parent = co_await store.get_message(std::move(user), id, *edited.parent);
    if (!parent) co_return place_before(edited);  // deleted meanwhile
    co_return store::TreePlace{parent->branch, parent->id};
  }
  if (!asked.parent) co_return std::nullopt;
  if (!*asked.parent) co_return store::TreePlace{};
  auto parent = co_await find_named(store, std::move(user), id, **asked.parent, "parent_id");
  co_return store::TreePlace{parent.branch, parent.id};
}

Task<store::Message> find_prompt(store::Store& store, UserId user, ConversationId id,
                                 MessageId message) {
  auto found = co_await store.get_message(user, id, message);
  if (!found) throw not_found();
  bool is_answer = found->role == store::Role::kAssistant;
  if (is_answer && found->parent) found = co_await store.get_message(user, id, *found->parent);
  if (!found || found->role != store::Role::kUser || found->content.empty()) {
    throw invalid_field("message_id",
                        "must be a message of the user, or an answer right after one");
  }
  co_return std::move(*found);
}

}  // namespace colloquy::chat
