// POST, GET /conversations; GET, PATCH, DELETE /conversations/{conversation_id}; PUT …/title.
#include <utility>

#include "api/attachments.h"
#include "api/body.h"
#include "api/error_reply.h"
#include "api/message_list.h"
#include "api/objects.h"
#include "api/request_fields.h"
#include "api/services.h"
#include "base/error.h"
#include "base/parse_number.h"

namespace colloquy::api {
namespace {

http::Response conversation_reply(int status, const store::Conversation& conversation) {
  std::string body;
  JsonWriter json(body);
  write_conversation(json, conversation);
  auto response = json_reply(status, std::move(body));
  set_entity_tag(response, conversation);
  return response;
}

// A number or a switch of the context; null takes it away.
std::optional<std::optional<std::uint32_t>> read_count(Body& body, std::string_view name,
                                                       std::size_t least, std::size_t most) {
  if (!body.has(name)) return std::nullopt;
  std::optional<std::uint32_t> count;
  if (body.is_null(name)) return count;
  auto number = body.optional_integer(name, static_cast<std::int64_t>(least),
                                      static_cast<std::int64_t>(most));
  if (number) count = static_cast<std::uint32_t>(*number);
  return count;
}

// Merged as labels are (RFC 7396): null for the whole gives it back to the server.
std::optional<store::ContextPatch> read_context_patch(Body& body) {
  if (!body.has("context")) return std::nullopt;
  store::ContextPatch patch;
  if (body.is_null("context")) {
    patch.clear_first = true;
    return patch;
  }
  auto context = body.optional_object("context");
  if (!context) return std::nullopt;
  patch.messages = read_count(*context, "messages", 0, limits::kContextMessagesMax);
  patch.tokens = read_count(*context, "tokens", 1, limits::kContextTokensMax);
  if (context->is_null("summary")) {
    patch.summary.emplace(std::nullopt);
  } else if (context->has("summary")) {
    patch.summary = context->optional_boolean("summary");
  }
  body.take_errors_of(std::move(*context));
  return patch;
}

Task<http::Response> create(Services& services, http::Request& request) {
  Body body(request, Body::Empty::kIsEmptyObject);
  store::NewConversation fresh;
  fresh.title = body.optional_string("title").value_or(std::string(chat::kDefaultTitle));
  fresh.system_prompt = body.optional_string("system_prompt").value_or("");
  fresh.metadata = body.string_map("metadata").value_or(store::Metadata());
  fresh.ttl_seconds = body.optional_integer("ttl_seconds", 1, limits::kTtlSecondsMax);
  fresh.temporary = body.optional_boolean("temporary").value_or(false);
  if (auto context = read_context_patch(body)) fresh.context = store::patched({}, *context);
  body.finish();
  auto key = idempotency_key_of(request, services.clock.now_s());
  auto created =
      co_await services.conversations.create(request.user, std::move(fresh), std::move(key));
  auto response = conversation_reply(201, created.conversation);
  response.set_header("Location", "/conversations/" + created.conversation.id.to_string());
  co_return response;
}

http::Response list_reply(const std::vector<store::Conversation>& conversations,
                          const std::string& next) {
  std::string body;
  body.reserve(conversations.size() * 320 + 2);
  JsonWriter json(body);
  json.begin_array();
  for (const auto& conversation : conversations) write_conversation(json, conversation);
  json.end_array();
  auto response = json_reply(200, std::move(body));
  if (!next.empty()) response.set_header("Link", "<" + next + ">; rel=\"next\"");
  return response;
}

std::string page_path(std::size_t limit, const std::string& cursor) {
  return "/conversations?limit=" + std::to_string(limit) + "&cursor=" + cursor;
}

// The cursor of a list by activity: the time and the id of its last conversation.
std::optional<store::ActivityPosition> activity_cursor_of(const http::Request& request) {
  const auto* text = request.query_parameter("cursor");
  if (text == nullptr) return std::nullopt;
  auto dot = text->find('.');
  auto updated_at_s = parse_number<std::int64_t>(std::string_view(*text).substr(0, dot));
  auto id = dot == std::string::npos ? std::nullopt : ConversationId::parse(text->substr(dot + 1));
  if (!updated_at_s || !id) throw invalid_field("cursor", "is not one that this server made");
  store::ActivityPosition position;
  position.updated_at_s = *updated_at_s;
  position.id = *id;
  return position;
}

Task<http::Response> list_by_activity(Services& services, http::Request& request,
                                      std::size_t limit) {
  auto page = co_await services.conversations.list_by_activity(request.user, limit,
                                                               activity_cursor_of(request));
  std::string next;
  if (page.next) {
    auto cursor = std::to_string(page.next->updated_at_s) + "." + page.next->id.to_string();
    next = page_path(limit, cursor) + "&sort=updated";
  }
  co_return list_reply(page.conversations, next);
}

Task<http::Response> list(Services& services, http::Request& request) {
  auto limit = limit_of(request).value_or(limits::kPageDefault);
  const auto* sort = request.query_parameter("sort");
  if (sort != nullptr && *sort == "updated") {
    co_return co_await list_by_activity(services, request, limit);
  }
  if (sort != nullptr && *sort != "created") {
    throw invalid_field("sort", "must be created or updated");
  }
  auto cursor = id_parameter<ConversationId>(request, "cursor");
  auto page = co_await services.conversations.list(request.user, limit, cursor);
  co_return list_reply(page.conversations,
                       page.next ? page_path(limit, page.next->to_string()) : "");
}

Task<http::Response> get(Services& services, http::Request& request) {
  auto id = conversation_id_of(request);
  auto selection = MessageSelection::of_request(request);
  return list_messages(services.conversations, request.user, id, selection,
                       ListShape::kWithConversation);
}

// Labels are merged (RFC 7396): null takes one away, and all where it stands for the whole.
std::optional<store::MetadataPatch> read_metadata_patch(Body& body) {
  if (!body.has("metadata")) return std::nullopt;
  store::MetadataPatch patch;
  if (body.is_null("metadata")) {
    patch.clear_first = true;
    return patch;
  }
  std::set<std::string> removed;
  auto pairs = body.string_map("metadata", &removed);
  if (!pairs) return std::nullopt;
  for (auto& [key, value] : *pairs) patch.pairs[key] = std::move(value);
  for (const auto& key : removed) patch.pairs[key] = std::nullopt;
  return patch;
}

Task<http::Response> patch(Services& services, http::Request& request) {
  auto id = conversation_id_of(request);
  Body body(request);
  store::ConversationPatch patch;
  patch.title = body.optional_string("title");
  patch.pinned = body.optional_boolean("pinned");
  patch.archived = body.optional_boolean("archived");
  // Null takes a setting away, as in a JSON merge patch (RFC 7396).
  if (body.is_null("system_prompt")) {
    patch.system_prompt = "";
  } else {
    patch.system_prompt = body.optional_string("system_prompt");
  }
  if (body.is_null("ttl_seconds")) {
    patch.ttl_seconds = std::optional<std::int64_t>();
  } else if (body.has("ttl_seconds")) {
    patch.ttl_seconds = body.optional_integer("ttl_seconds", 1, limits::kTtlSecondsMax);
  }
  patch.temporary = body.optional_boolean("temporary");
  patch.metadata = read_metadata_patch(body);
  patch.context = read_context_patch(body);
  auto active = read_message_id(body, "active_message_id");
  body.finish();
  auto version = co_await expected_version(services.conversations, request, id);
  auto changed =
      co_await services.conversations.update(request.user, id, std::move(patch), version, active);
  co_return conversation_reply(200, changed);
}

Task<http::Response> put_title(Services& services, http::Request& request) {
  auto id = conversation_id_of(request);
  store::ConversationPatch patch;
  if (const auto* title = request.query_parameter("title")) {
    patch.title = *title;
  } else {
    Body body(request, Body::Empty::kIsEmptyObject);
    patch.title = body.required_string("title");
    body.finish();
  }
  auto version = co_await expected_version(services.conversations, request, id);
  auto changed =
      co_await services.conversations.update(request.user, id, std::move(patch), version);
  co_return conversation_reply(200, changed);
}

bool wants_files_deleted(const http::Request& request) {
  const auto* files = request.query_parameter("files");
  if (files == nullptr || *files == "keep") return false;
  if (*files != "delete") throw invalid_field("files", "must be keep or delete");
  return true;
}

Task<http::Response> remove(Services& services, http::Request& request) {
  auto id = conversation_id_of(request);
  bool with_files = wants_files_deleted(request);
  if (with_files && services.files == nullptr) {
    co_return no_files_reply(request.request_id);
  }
  auto version = co_await expected_version(services.conversations, request, id);
  if (with_files) {
    co_await remove_with_files(services, request.user, id, version);
  } else {
    co_await services.conversations.remove(request.user, id, version);
  }
  http::Response response;
  response.status = 204;
  co_return response;
}

}  // namespace

void add_conversation_routes(http::Router& router, Services& services) {
  using http::Method;
  auto add = [&](Method method, const char* path, auto handler) {
    router.add({method, path, false, [&services, handler](http::Request& request) {
                  return handler(services, request);
                }});
  };
  add(Method::kPost, "/conversations", create);
  add(Method::kGet, "/conversations", list);
  add(Method::kGet, "/conversations/{conversation_id}", get);
  add(Method::kPatch, "/conversations/{conversation_id}", patch);
  add(Method::kDelete, "/conversations/{conversation_id}", remove);
  add(Method::kPut, "/conversations/{conversation_id}/title", put_title);
}

}  // namespace colloquy::api
