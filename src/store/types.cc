#include "store/types.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "base/limits.h"

namespace colloquy::store {

std::string_view role_name(Role role) {
  switch (role) {
    case Role::kSystem:
      return "system";
    case Role::kUser:
      return "user";
    case Role::kAssistant:
      return "assistant";
  }
  return "user";
}

std::optional<Role> parse_role(std::string_view name) {
  if (name == "system") return Role::kSystem;
  if (name == "user") return Role::kUser;
  if (name == "assistant") return Role::kAssistant;
  return std::nullopt;
}

std::string_view status_name(MessageStatus status) {
  switch (status) {
    case MessageStatus::kComplete:
      return "complete";
    case MessageStatus::kRunning:
      return "running";
    case MessageStatus::kInterrupted:
      return "interrupted";
    case MessageStatus::kCancelled:
      return "cancelled";
    case MessageStatus::kFailed:
      return "failed";
  }
  return "failed";
}

std::string_view finish_reason_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kNone:
      return "";
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
      return "cancelled";
    case FinishReason::kError:
      return "error";
  }
  return "";
}

void hold(Conversation& conversation, std::int64_t lease_until_s, std::int64_t now_s) {
  if (lease_until_s <= now_s) return;
  auto& until = conversation.held_until_s;
  // Beside another turn: a time that is no turn's own, so that no turn's end releases it.
  until = until > now_s ? std::max(until, lease_until_s) + 1 : lease_until_s;
}

void release(Conversation& conversation, std::int64_t lease_until_s) {
  if (conversation.held_until_s == lease_until_s) conversation.held_until_s = 0;
}

Error key_reused(const IdempotencyKey& key) {
  return invalid_field(key.field, "This key was used before, with another request.");
}

Error result_deleted() {
  return {ErrorCode::kConflict,
          "What this key made has been deleted. To make it anew, use another key."};
}

Metadata patched(Metadata current, const MetadataPatch& patch) {
  if (patch.clear_first) current.clear();
  for (const auto& [key, value] : patch.pairs) {
    if (value) {
      current[key] = *value;
    } else {
      current.erase(key);
    }
  }
  if (current.size() > limits::kMetadataPairs) {
    throw invalid_field("metadata",
                        "must have at most " + std::to_string(limits::kMetadataPairs) + " pairs");
  }
  return current;
}

ContextSettings patched(ContextSettings current, const ContextPatch& patch) {
  if (patch.clear_first) current = {};
  if (patch.messages) current.messages = *patch.messages;
  if (patch.tokens) current.tokens = *patch.tokens;
  if (patch.summary) current.summary = *patch.summary;
  return current;
}

Conversation patched(Conversation before, const ConversationPatch& patch, std::int64_t now_s) {
  if (patch.if_title && *patch.if_title != before.title) {
    throw Error(ErrorCode::kPreconditionFailed, "The title has changed in the meantime.");
  }
  auto after = std::move(before);
  if (patch.metadata) after.metadata = patched(std::move(after.metadata), *patch.metadata);
  if (patch.title && *patch.title != after.title) {
    after.title = *patch.title;
    after.updated_at_s = now_s;
  }
  if (patch.pinned) after.pinned = *patch.pinned;
  if (patch.archived) after.archived = *patch.archived;
  if (patch.system_prompt) after.system_prompt = *patch.system_prompt;
  bool was_temporary = after.temporary;
  if (patch.ttl_seconds) after.ttl_seconds = *patch.ttl_seconds;
  if (patch.temporary) after.temporary = *patch.temporary;
  if (!after.ttl_seconds) after.temporary = false;
  // However old it is, it does not go at this moment.
  bool becomes_temporary = after.temporary && !was_temporary;
  if (becomes_temporary && after.expired(now_s)) after.updated_at_s = now_s;
  if (patch.context) after.context = patched(after.context, *patch.context);
  if (patch.summary) after.summary = *patch.summary;
  if (patch.active) activate(after.tree, patch.active->branch, patch.active->after);
  return after;
}

ContextSettings resolved(const ContextSettings& own, const ContextSettings& usual) {
  bool counts = own.messages || own.tokens;
  ContextSettings settings = counts ? own : usual;
  settings.summary = own.summary ? own.summary : usual.summary;
  return settings;
}

RecentRange recent_range(const ContextSettings& settings) {
  RecentRange range{settings.messages.value_or(0), limits::kContextBytesMax};
  if (settings.tokens && !settings.messages) range.messages = limits::kContextMessagesMax;
  if (settings.tokens) {
    auto most = std::size_t{*settings.tokens} * limits::kBytesPerToken;
    range.content_bytes = std::min(most, limits::kContextBytesMax);
  }
  return range;
}

}  // namespace colloquy::store
