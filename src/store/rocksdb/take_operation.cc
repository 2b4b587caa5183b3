#include "store/rocksdb/take_operation.h"

#include <utility>

#include "base/error.h"
#include "store/intake_checks.h"
#include "store/rocksdb/keys.h"

namespace colloquy::store {

TakeConversation::TakeConversation(Conversation conversation, std::vector<Message> messages)
    : conversation_(std::move(conversation)) {
  messages_.reserve(messages.size());
  for (auto& message : messages) {
    auto& encoded = messages_.emplace_back();
    encoded.id = message.id;
    encode(MessageRecord{std::move(message), {}, 0}, encoded.value);
    bytes_ += encoded.value.size() + sizeof(Encoded);
  }
}

void TakeConversation::apply(WriteGroup& group) {
  auto key = keys::conversation(conversation_.user_id, conversation_.id);
  if (auto* there = group.find_even_expired(key)) {
    if (there->record.conversation.expired(group.now_s())) throw expired_on_intake();
    set_result(false);
    return;
  }
  if (group.is_purged(conversation_.id)) {
    throw Error(ErrorCode::kConflict, "It is being deleted. Import it again in a minute.");
  }
  prepare_taken(conversation_, group.retention_seconds(), group.now_s());
  ConversationRecord record;
  record.conversation = std::move(conversation_);
  record.conversation.message_count = messages_.size();
  if (!messages_.empty()) record.last_message_id = messages_.back().id;
  auto id = record.conversation.id;
  group.add_taken(key, std::move(record));
  for (const auto& message : messages_) {
    group.put_message(id, message.id, message.value);
    group.note_change(key, message.id);
  }
  group.count_messages(static_cast<std::int64_t>(messages_.size()));
  set_result(true);
}

}  // namespace colloquy::store
