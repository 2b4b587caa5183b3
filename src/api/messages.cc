// GET, POST /conversations/{conversation_id}/messages; GET, DELETE …/messages/{message_id}.
#include <utility>

#include "api/attachments.h"
#include "api/body.h"
#include "api/message_list.h"
#include "api/objects.h"
#include "api/request_fields.h"
#include "api/services.h"

namespace colloquy::api {
namespace {

http::Response message_reply(int status, const store::Message& message) {
  std::string body;
  body.reserve(message.content.size() + 256);
  JsonWriter json(body);
  write_message(json, message);
  return json_reply(status, std::move(body));
}

Task<http::Response> list(Services& services, http::Request& request) {
  auto id = conversation_id_of(request);
  auto selection = MessageSelection::of_request(request, limits::kPageDefault);
  return list_messages(services.conversations, request.user, id, selection, ListShape::kBare);
}

Task<http::Response> append(Services& services, http::Request& request) {
  auto id = conversation_id_of(request);
  Body body(request);
  store::NewMessage message;
  auto role = store::parse_role(body.optional_string("role").value_or("user"));
  if (!role) body.refuse("role", "must be system, user or assistant");
  message.role = role.value_or(store::Role::kUser);
  message.content = body.required_string("content");
  message.metadata = body.string_map("metadata").value_or(store::Metadata());
  message.client_message_id = body.optional_string("client_message_id").value_or("");
  message.attachments = read_attachments(body);
  if (!message.attachments.empty() && message.role != store::Role::kUser) {
    body.refuse("attachments", "go with a message of the user");
  }
  auto place = read_place(body);
  if (place.edit_of && message.role != store::Role::kUser) {
    body.refuse("role", "must be user where a message of the user is edited");
  }
  body.finish();
  auto key = idempotency_key_of(request, services.clock.now_s(), id.to_string(),
                                message.client_message_id);
  auto refusal = co_await refusal_of_attachments(services, request.user, message.attachments);
  store::AppendedMessage appended;
  if (refusal) {
    // A repeat is answered, though its files are gone.
    std::optional<store::AppendedMessage> earlier;
    if (key) earlier = co_await services.store.find_appended(request.user, id, *key);
    if (!earlier) throw std::move(*refusal);
    appended = std::move(*earlier);
  } else {
    appended = co_await services.conversations.append(request.user, id, std::move(message), place,
                                                      std::move(key));
  }
  auto response = message_reply(201, appended.message);
  response.set_header("Location", "/conversations/" + id.to_string() + "/messages/" +
                                      appended.message.id.to_string());
  co_return response;
}

Task<http::Response> get(Services& services, http::Request& request) {
  auto id = conversation_id_of(request);
  auto message_id = message_id_of(request);
  co_return message_reply(200,
                          co_await services.conversations.message(request.user, id, message_id));
}

Task<http::Response> remove(Services& services, http::Request& request) {
  auto id = conversation_id_of(request);
  auto message_id = message_id_of(request);
  co_await services.conversations.remove_message(request.user, id, message_id);
  http::Response response;
  response.status = 204;
  co_return response;
}

}  // namespace

void add_message_routes(http::Router& router, Services& services) {
  using http::Method;
  auto add = [&](Method method, const char* path, auto handler) {
    router.add({method, path, false, [&services, handler](http::Request& request) {
                  return handler(services, request);
                }});
  };
  add(Method::kGet, "/conversations/{conversation_id}/messages", list);
  add(Method::kPost, "/conversations/{conversation_id}/messages", append);
  add(Method::kGet, "/conversations/{conversation_id}/messages/{message_id}", get);
  add(Method::kDelete, "/conversations/{conversation_id}/messages/{message_id}", remove);
}

}  // namespace colloquy::api
