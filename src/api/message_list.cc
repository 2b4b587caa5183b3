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
  store::BranchTable tree;               // as it was at the beginning
  std::optional<std::uint64_t> counted;  // of the messages so far, from the first on
};

// As message_count counts where a turn comes into it with its end: the answer, and the prompt where
// the two were written together.
std::uint64_t count_without_running_turns(const std::vector<store::Message>& messages) {
  std::uint64_t count = messages.size();
  for (const auto& message : messages) {
    if (message.status != store::MessageStatus::kRunning) continue;
    count -= message.parent == message.id.predecessor() ? 2U : 1U;
  }
  return count;
}

std::string link_to(ConversationId id, const store::MessageRange& range, const char* side,
                    MessageId edge, const char* relation) {
  return "</conversations/" + id.to_string() + "/messages?limit=" + std::to_string(range.limit) +
         (range.all_branches ? "&branches=all&" : "&") + side + "=" + edge.to_string() +
         ">; rel=\"" + relation + "\"";
}

void write_messages(std::string& out, const store::MessagePage& page, bool all_branches,
                    bool first) {
  auto active = all_branches ? store::Path::active(page.conversation.tree) : store::Path();
  for (const auto& message : page.messages) {
    if (!first) out.push_back(',');
    first = false;
    JsonWriter json(out);
    std::optional<bool> is_active;
    if (all_branches) is_active = active.contains(message.branch, message.id);
    write_message(json, message, is_active);
  }
}

std::size_t expected_bytes(const store::MessagePage& page) {
  std::size_t bytes =
      1024 + page.conversation.title.size() + page.conversation.system_prompt.size();
  for (const auto& message : page.messages) bytes += message.content.size() + 256;
  return bytes;
}

// All messages were read, and the count says otherwise: a crash may have left it behind.
Task<> check_count(Rest& rest, const store::Conversation& conversation) {
  bool was_all = rest.range.all_branches || conversation.tree.plain();
  if (!was_all || !rest.counted || *rest.counted == conversation.message_count) co_return;
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
  store::Conversation conversation;
  while (more) {
    co_await writer.write(rest->pending);
    rest->pending.clear();
    auto page = co_await rest->conversations.messages(rest->user, rest->id, rest->range);
    bool same_way = rest->range.all_branches || page.conversation.tree == rest->tree;
    if (!same_way) {
      // Another branch became the active one: what was sent is of a way that this page is not on.
      writer.abort();
      co_return;
    }
    write_messages(rest->pending, page, rest->range.all_branches, false);
    if (!page.messages.empty()) rest->range.after = page.messages.back().id;
    if (rest->counted) *rest->counted += count_without_running_turns(page.messages);
    conversation = std::move(page.conversation);
    more = page.more;
  }
  co_await check_count(*rest, conversation);
  rest->pending.push_back(']');
  rest->pending += rest->tail;
  co_await writer.write(rest->pending);
}

void add_links(http::Response& response, ConversationId id, const MessageSelection& selection,
               const store::MessagePage& page) {
  if (selection.all || page.messages.empty()) return;
  const auto& range = selection.range;
  std::string links;
  bool forward = range.after.has_value();
  bool older = forward || page.more;
  bool newer = forward ? page.more : range.before.has_value();
  if (older) links += link_to(id, range, "before", page.messages.front().id, "prev");
  if (newer) {
    if (!links.empty()) links += ", ";
    links += link_to(id, range, "after", page.messages.back().id, "next");
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
  if (const auto* branches = request.query_parameter("branches")) {
    selection.range.all_branches = *branches == "all";
    if (*branches != "all" && *branches != "active") {
      throw invalid_field("branches", "must be all or active");
    }
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
  write_messages(body, page, selection.range.all_branches, true);
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
  auto rest = std::make_shared<Rest>(Rest{conversations,
                                          std::move(user),
                                          id,
                                          selection.range,
                                          std::move(body),
                                          tail,
                                          page.conversation.tree,
                                          {}});
  if (from_the_first) rest->counted = count_without_running_turns(page.messages);
  response.stream = [rest](http::BodyWriter& writer) { return stream_rest(rest, writer); };
  co_return response;
}

}  // namespace colloquy::api
