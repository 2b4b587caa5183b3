#include "exchange/formats.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "exchange/json_fields.h"

namespace colloquy::exchange {
namespace {

Error refused(std::string why) { return {ErrorCode::kInvalid, std::move(why)}; }

std::string at_most(const std::string& what, std::size_t bytes) {
  return what + " is longer than " + std::to_string(bytes) + " bytes.";
}

// Whether there is something under this name.
bool has(const boost::json::object& from, std::string_view name) {
  const auto* value = from.if_contains(name);
  return value != nullptr && !value->is_null();
}

std::optional<store::Metadata> metadata_at(const boost::json::object& from) {
  if (!has(from, "metadata")) return std::nullopt;
  const auto* pairs = object_at(from, "metadata");
  if (pairs == nullptr) throw refused("The metadata are no object.");
  store::Metadata metadata;
  for (const auto& [name, value] : *pairs) {
    if (!value.is_string()) throw refused("A label is no text.");
    metadata.emplace(std::string(name), std::string(value.get_string()));
  }
  return metadata;
}

store::MessageStatus status_of(const boost::json::object& line) {
  using store::MessageStatus;
  auto name = string_at(line, "status").value_or("complete");
  for (auto status :
       {MessageStatus::kComplete, MessageStatus::kCancelled, MessageStatus::kFailed}) {
    if (store::status_name(status) == name) return status;
  }
  return MessageStatus::kInterrupted;  // and one that was running
}

store::FinishReason reason_of(const boost::json::object& line) {
  using store::FinishReason;
  auto name = string_at(line, "finish_reason").value_or("");
  for (auto reason : {FinishReason::kStop, FinishReason::kLength, FinishReason::kCancelled,
                      FinishReason::kError}) {
    if (store::finish_reason_name(reason) == name) return reason;
  }
  return FinishReason::kNone;
}

std::optional<std::uint32_t> count_at(const boost::json::object& from, std::string_view name,
                                      std::size_t most) {
  auto number = integer_at(from, name);
  if (!number || *number < 0) return std::nullopt;
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(static_cast<std::uint64_t>(*number), most));
}

// Whether the paths can be a file's, and whether files are there, is not this format's.
store::Attachments attachments_at(const boost::json::object& line) {
  store::Attachments paths;
  if (!has(line, "attachments")) return paths;
  const auto* elements = array_at(line, "attachments");
  if (elements == nullptr) throw refused("The attachments of a message are no array.");
  for (const auto& element : *elements) {
    const auto* file = element.if_object();
    auto path = file == nullptr ? std::nullopt : string_at(*file, "path");
    if (!path) throw refused("An attachment has no path.");
    if (paths.size() == limits::kAttachments) throw refused("A message has too many attachments.");
    paths.push_back(std::move(*path));
  }
  return paths;
}

void check_metadata(const store::Metadata& metadata) {
  if (metadata.size() > limits::kMetadataPairs) throw refused("It has too many labels.");
  for (const auto& [name, value] : metadata) {
    bool fits = !name.empty() && name.size() <= limits::kMetadataKeyBytes &&
                value.size() <= limits::kMetadataValueBytes;
    if (!fits) throw refused("A label is too long, or has no name.");
  }
}

// Where an id would lie in the future, whatever is written next would have to follow it there.
void check_times(const Draft& draft, const ImportLimits& limits) {
  if (draft.conversation.created_at_s > limits.latest_s) {
    throw refused("It was made in the future: its created_at is more than a day ahead.");
  }
  for (const auto& each : draft.messages) {
    auto id = draft.source == "colloquy" ? MessageId::parse(each.id) : std::nullopt;
    bool ahead = each.message.timestamp_s > limits.latest_s ||
                 (id && id->uuid().unix_ms() / 1000 > limits.latest_s);
    if (ahead)
      throw refused("A message was made in the future: its time is more than a day ahead.");
  }
}

}  // namespace

Draft read_head(const boost::json::object& line) {
  Draft draft;
  draft.source = "colloquy";
  draft.id = string_at(line, "conversation_id").value_or("");
  if (draft.id.empty()) throw refused("Its conversation_id is missing.");
  auto& conversation = draft.conversation;
  conversation.title = string_at(line, "title").value_or("");
  conversation.created_at_s = time_at(line, "created_at").value_or(0);
  conversation.updated_at_s = time_at(line, "updated_at").value_or(conversation.created_at_s);
  conversation.pinned = boolean_at(line, "pinned");
  conversation.archived = boolean_at(line, "archived");
  conversation.temporary = boolean_at(line, "temporary");
  conversation.system_prompt = string_at(line, "system_prompt").value_or("");
  conversation.metadata = metadata_at(line).value_or(store::Metadata());
  conversation.ttl_seconds = integer_at(line, "ttl_seconds");
  if (const auto* context = object_at(line, "context")) {
    conversation.context.messages = count_at(*context, "messages", limits::kContextMessagesMax);
    conversation.context.tokens = count_at(*context, "tokens", limits::kContextTokensMax);
    if (conversation.context.tokens == 0) conversation.context.tokens.reset();
    if (context->contains("summary"))
      conversation.context.summary = boolean_at(*context, "summary");
  }
  return draft;
}

DraftMessage read_message(const boost::json::object& line) {
  DraftMessage draft;
  draft.id = string_at(line, "message_id").value_or("");
  if (draft.id.empty()) throw refused("The message_id of a message is missing.");
  draft.parent = string_at(line, "parent_id").value_or("");
  auto& message = draft.message;
  auto role = store::parse_role(string_at(line, "role").value_or(""));
  auto content = string_at(line, "content");
  if (!role || !content) throw refused("A message has no role or no content.");
  message.role = *role;
  message.content = std::move(*content);
  message.timestamp_s = time_at(line, "timestamp").value_or(0);
  message.metadata = metadata_at(line).value_or(store::Metadata());
  message.client_message_id = string_at(line, "client_message_id").value_or("");
  if (message.role == store::Role::kUser) message.attachments = attachments_at(line);
  if (message.role != store::Role::kAssistant) return draft;
  message.status = status_of(line);
  message.finish_reason = reason_of(line);
  message.model = string_at(line, "model").value_or("");
  if (const auto* usage = object_at(line, "usage")) {
    message.usage = store::Usage{
        std::max<std::int64_t>(integer_at(*usage, "prompt_tokens").value_or(0), 0),
        std::max<std::int64_t>(integer_at(*usage, "completion_tokens").value_or(0), 0)};
  }
  return draft;
}

void check(Draft& draft, const ImportLimits& limits) {
  auto& conversation = draft.conversation;
  check_times(draft, limits);
  if (conversation.title.empty()) conversation.title = "New Conversation";
  conversation.title = std::string(cut_utf8(conversation.title, limits::kTitleBytes));
  if (conversation.system_prompt.size() > limits::kSystemPromptBytes) {
    throw refused(at_most("Its system prompt", limits::kSystemPromptBytes));
  }
  check_metadata(conversation.metadata);
  auto ttl = conversation.ttl_seconds;
  if (ttl && (*ttl < 1 || *ttl > limits::kTtlSecondsMax))
    throw refused("Its ttl_seconds cannot be.");
  if (!ttl) conversation.temporary = false;
  if (conversation.updated_at_s < conversation.created_at_s) {
    conversation.updated_at_s = conversation.created_at_s;
  }
  for (const auto& each : draft.messages) {
    const auto& message = each.message;
    if (message.content.size() > limits.content_bytes) {
      throw refused(at_most("A message", limits.content_bytes));
    }
    check_metadata(message.metadata);
    bool fits = message.client_message_id.size() <= limits::kIdempotencyKeyBytes &&
                message.model.size() <= limits::kTitleBytes;
    if (!fits) throw refused("A client_message_id or the name of a model is too long.");
  }
}

}  // namespace colloquy::exchange
