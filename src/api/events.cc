// GET /events: what changes in the caller's conversations, as server-sent events.
#include <chrono>
#include <memory>
#include <utility>

#include "api/request_fields.h"
#include "api/services.h"
#include "base/json_writer.h"
#include "http/sse.h"

namespace colloquy::api {
namespace {

constexpr auto kKeepAlive = std::chrono::seconds(15);

using chat::Event;
using chat::EventKind;

void write_conversation_fields(JsonWriter& json, const Event& event) {
  json.key("title").string(event.title);
  json.key("created_at").integer(event.created_at_s);
  json.key("updated_at").integer(event.updated_at_s);
  json.key("message_count").integer(static_cast<std::int64_t>(event.message_count));
  json.key("pinned").boolean(event.pinned);
  json.key("archived").boolean(event.archived);
}

void write_message_fields(JsonWriter& json, const Event& event) {
  json.key("role").string(store::role_name(event.role));
  if (event.role == store::Role::kAssistant) {
    json.key("status").string(store::status_name(event.status));
  }
}

std::string event_json(const Event& event) {
  std::string data;
  JsonWriter json(data);
  json.begin_object();
  json.key("conversation_id").uuid(event.conversation_id.uuid());
  switch (event.kind) {
    case EventKind::kConversationCreated:
    case EventKind::kConversationChanged:
      write_conversation_fields(json, event);
      break;
    case EventKind::kConversationDeleted:
      break;
    case EventKind::kMessageCreated:
    case EventKind::kMessageChanged:
      json.key("message_id").uuid(event.message_id.uuid());
      write_message_fields(json, event);
      break;
    case EventKind::kMessageDeleted:
      json.key("message_id").uuid(event.message_id.uuid());
      break;
  }
  json.end_object();
  return data;
}

using SharedFollower = std::shared_ptr<chat::EventHub::Follower>;

Task<> stream_events(SharedFollower follower, bool resumes, http::BodyWriter& body) {
  http::SseWriter events(body);
  if (!resumes) co_await events.event("ready", follower->position(), "{}");
  while (true) {
    auto step = co_await follower->next(kKeepAlive);
    if (step.reset) co_await events.event("reset", *step.reset, "{}");
    for (const auto& item : step.items) {
      co_await events.event(chat::event_name(item.event.kind), item.id, event_json(item.event));
    }
    if (step.ended) co_return;
    if (!step.reset && step.items.empty()) co_await events.comment("still here");
  }
}

Task<http::Response> follow(Services& services, http::Request& request) {
  auto last = request.header("Last-Event-ID").value_or("");
  SharedFollower follower = services.events.follow(request.user, last);
  bool resumes = !last.empty();
  http::Response response;
  http::set_event_stream_headers(response);
  response.stream = [follower, resumes](http::BodyWriter& body) {
    return stream_events(follower, resumes, body);
  };
  co_return response;
}

}  // namespace

void add_event_routes(http::Router& router, Services& services) {
  router.add({http::Method::kGet, "/events", false,
              [&services](http::Request& request) { return follow(services, request); }});
}

}  // namespace colloquy::api
