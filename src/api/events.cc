// GET /events: what changes in the caller's conversations, as server-sent events.
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "api/request_fields.h"
#include "api/services.h"
#include "base/error.h"
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
using Items = std::vector<chat::EventHub::Follower::Item>;

// What has expired since it was told is hidden here as everywhere. That it is gone may be told.
// nullopt: the store does not say now.
Task<std::optional<Items>> living(Services& services, UserId user, Items items) {
  std::map<ConversationId, bool> known;
  Items left;
  for (auto& item : items) {
    const auto id = item.event.conversation_id;
    auto found = known.find(id);
    if (item.event.kind != EventKind::kConversationDeleted && found == known.end()) {
      bool there = true;
      try {
        const auto conversation = co_await services.store.get_conversation(user, id);
        there = conversation.has_value();
      } catch (const Error& error) {
        // Of one that is damaged, whoever reads it will see what is wrong with it.
        if (error.code() != ErrorCode::kInternal) co_return std::nullopt;
      }
      found = known.emplace(id, there).first;
    }
    const bool gone = found != known.end() && !found->second;
    if (!gone || item.event.kind == EventKind::kConversationDeleted) {
      left.push_back(std::move(item));
    }
  }
  co_return left;
}

Task<> stream_events(Services& services, UserId user, SharedFollower follower, bool resumes,
                     http::BodyWriter& body) {
  http::SseWriter events(body);
  if (!resumes) co_await events.event("ready", follower->position(), "{}");
  bool replays = resumes;
  while (true) {
    auto step = co_await follower->next(kKeepAlive);
    if (replays) {
      // Of what comes as it happens, nothing has expired yet.
      auto left = co_await living(services, user, std::move(step.items));
      // An answer other than 200 would end a browser's stream for good.
      if (!left) step.reset = follower->position();
      step.items = left ? std::move(*left) : Items();
      replays = false;
    }
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
  response.stream = [&services, user = request.user, follower, resumes](http::BodyWriter& body) {
    return stream_events(services, user, follower, resumes, body);
  };
  co_return response;
}

}  // namespace

void add_event_routes(http::Router& router, Services& services) {
  router.add({http::Method::kGet, "/events", false,
              [&services](http::Request& request) { return follow(services, request); }});
}

}  // namespace colloquy::api
