#include "api/message_list.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "api/objects.h"
#include "api/request_fields.h"
#include "base/error.h"
#include "base/limits.h"
#include "telemetry/log.h"

namespace colloquy::api {
namespace {

// What a streamed list still has to send.
struct Rest {
  chat::Conversations& conversations;
  UserId user;
  ConversationId id;
  store::MessageRange range;
  std::string pending;  // JSON that is not sent yet
  std::string_view tail;
  std::optional<std::uint64_t> counted;  // of the messages so far, from the first on
};

// As message_count counts where a turn comes into it with its end, prompt and answer.
std::uint64_t count_without_running_turns(const std::vector<store::Message>& messages) {
  auto running = std::count_if(messages.begin(), messages.end(), [](const store::Message& message) {
    return message.status == store::MessageStatus::kRunning;
  });
  return messages.size() - 2 * static_cast<std::uint64_t>(running);
}

std::string link_to(ConversationId id, std::size_t limit, const char* side, MessageId edge,
                    const char* relation) {
  return "</conversations/" + id.to_string() + "/messages?limit=" + std::to_string(limit) + "&" +
         side + "=" + edge.to_string() + ">; rel=\"" + relation + "\"";
}

void write_messages(std::string& out, const std::vector<store::Message>& messages, bool first) {
  for (const auto& message : messages) {
    if (!first) out.push_back(',');
    first = false;
    JsonWriter json(out);
    write_message(json, message);
  }
}

std::size_t expected_bytes(const store::MessagePage& page) {
  std::size_t bytes =
      1024 + page.conversation.title.size() + page.conversation.system_prompt.size();
  for (const auto& message : page.messages) bytes += message.content.size() + 256;
  return bytes;
}

// All messages were read, and the count says otherwise: a crash may have left it behind.
Task<> check_count(Rest& rest, std::uint64_t message_count) {
  if (!rest.counted || *rest.counted == message_count) co_return;
  try {
    co_await rest.conversations.recount(rest.user, rest.id);
  } catch (const Error& error) {
    telemetry::log_warning("conversation.not_recounted", {{"conversation_id", rest.id.to_string()},
                                                          {"error", error.message()},
                                                          {"detail", error.detail()}});
  }
}

// A message that comes in while this runs is sent too; one that is deleted is not.
Task<> stream_rest(std::shared_ptr<Rest> rest, http::BodyWriter& writer) {
  bool more = true;
  std::uint64_t message_count = 0;
  while (more) {
    co_await writer.write(rest->pending);
    rest->pending.clear();
    auto page = co_await rest->conversations.messages(rest->user, rest->id, rest->range);
    write_messages(rest->pending, page.messages, false);
    if (!page.messages.empty()) rest->range.after = page.messages.back().id;
    if (rest->counted) *rest->counted += count_without_running_turns(page.messages);
    message_count = page.conversation.message_count;
    more = page.more;
  }
  co_await check_count(*rest, message_count);
  rest->pending.push_back(']');
  rest->pending += rest->tail;
  co_await writer.write(rest->pending);
}

void add_links(http::Response& response, ConversationId id, const MessageSelection& selection,
               const store::MessagePage& page) {
  if (selection.all || page.messages.empty()) return;
  auto limit = selection.range.limit;
  std::string links;
  bool forward = selection.range.after.has_value();
  bool older = forward || page.more;
  bool newer = forward ? page.more : selection.range.before.has_value();
  if (older) links += link_to(id, limit, "before", page.messages.front().id, "prev");
  if (newer) {
    if (!links.empty()) links += ", ";
    links += link_to(id, limit, "after", page.messages.back().id, "next");
  }
  if (!links.empty()) response.set_header("Link", std::move(links));
}

}  // namespace

MessageSelection MessageSelection::of_request(const http::Request& request,
                                              std::size_t default_limit) {
  MessageSelection selection;
  selection.range.before = id_parameter<MessageId>(request, "before");
  selection.range.after = id_parameter<MessageId>(request, "after");
  if (selection.range.before && selection.range.after) {
    throw invalid_field("before", "does not go together with after");
  }
  auto limit = limit_of(request);
  if (!limit && default_limit > 0) limit = default_limit;
  if (!limit && selection.range.before) limit = limits::kPageDefault;
  selection.all = !limit;
  selection.range.limit = limit.value_or(limits::kPageMax);
  if (selection.all && !selection.range.after) selection.range.after = MessageId();
  return selection;
}

Task<http::Response> list_messages(chat::Conversations& conversations, UserId user,
                                   ConversationId id, MessageSelection selection, ListShape shape) {
  auto page = co_await conversations.messages(user, id, selection.range);
  bool with_conversation = shape == ListShape::kWithConversation;
  std::string body;
  body.reserve(expected_bytes(page));
  if (with_conversation) {
    body += "{\"conversation\":";
    JsonWriter json(body);
    write_conversation(json, page.conversation);
    body += ",\"messages\":";
  }
  body.push_back('[');
  write_messages(body, page.messages, true);
  std::string_view tail = with_conversation ? "}" : "";
  if (!selection.all || !page.more) {
    body.push_back(']');
    body += tail;
    auto whole = json_reply(200, std::move(body));
    add_links(whole, id, selection, page);
    if (with_conversation) set_entity_tag(whole, page.conversation);
    co_return whole;
  }
  auto response = json_reply(200, "");
  if (with_conversation) set_entity_tag(response, page.conversation);
  bool from_the_first = selection.range.after == MessageId();
  selection.range.after = page.messages.back().id;
  auto rest = std::make_shared<Rest>(
      Rest{conversations, std::move(user), id, selection.range, std::move(body), tail, {}});
  if (from_the_first) rest->counted = count_without_running_turns(page.messages);
  response.stream = [rest](http::BodyWriter& writer) { return stream_rest(rest, writer); };
  co_return response;
}

}  // namespace colloquy::api
