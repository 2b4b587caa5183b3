// GET, DELETE /conversations/{conversation_id}/generations/{message_id}: the making of an answer.
#include <charconv>
#include <utility>

#include "api/objects.h"
#include "api/request_fields.h"
#include "api/services.h"
#include "api/turn_stream.h"
#include "base/error.h"
#include "http/header_values.h"

namespace colloquy::api {
namespace {

constexpr const char* kLastEventId = "Last-Event-ID";
// How far what is known here of an answer that another server makes may lag behind what a client
// has had from that server.
constexpr auto kLagMost = std::chrono::milliseconds(3'000);

std::optional<std::size_t> last_event_id_of(const http::Request& request) {
  auto header = request.header(kLastEventId);
  if (!header) return std::nullopt;
  if (http::count_headers(request.headers, kLastEventId) > 1) {
    throw malformed("Last-Event-ID must be given once.");
  }
  std::size_t offset = 0;
  const auto* end = header->data() + header->size();
  auto [rest, error] = std::from_chars(header->data(), end, offset);
  if (error != std::errc() || rest != end) {
    throw invalid_field(kLastEventId,
                        "must be the id of an event of this answer, which is a number of bytes");
  }
  return offset;
}

bool splits_character(std::string_view text, std::size_t offset) {
  return offset < text.size() && (static_cast<unsigned char>(text[offset]) & 0xC0U) == 0x80U;
}

// False when the client has had all there is, the end too. kInvalid when it cannot have had what it
// says.
Task<bool> go_on_at(Following& following, std::size_t offset) {
  const auto& turn = following.turn;
  if (turn.elsewhere && turn.generation && offset > 0) {
    co_await turn.generation->next(offset - 1, kLagMost);
  }
  std::optional<chat::GenerationOutcome> outcome;
  if (turn.generation) outcome = turn.generation->ended();
  // It may be made still, by a server that cannot be asked: then this is not all of it.
  bool lost = outcome && outcome->may_go_on;
  bool ended = !lost && (outcome || !turn.generation);
  std::string text = turn.generation ? turn.generation->text() : turn.reply.content;
  if (ended && offset == text.size() + 1) co_return false;
  if (lost && offset > text.size()) throw std::move(*outcome->error);
  if (offset > text.size()) {
    throw invalid_field(kLastEventId, "is past the end of the answer, which has " +
                                          std::to_string(text.size()) + " bytes" +
                                          (ended ? "" : " so far"));
  }
  if (splits_character(text, offset)) {
    throw invalid_field(kLastEventId, "is inside a character of the answer");
  }
  following.sent = offset;
  following.resumed = true;
  co_return true;
}

// openapi.yaml: Generation.
std::string state_json(const chat::Turn& turn) {
  store::Message message = turn.reply;
  if (turn.generation) {
    auto outcome = turn.generation->ended();
    if (outcome && outcome->durable) {
      message = std::move(outcome->reply);
    } else {
      message.content = turn.generation->text();
    }
  }
  std::string body;
  body.reserve(2 * message.content.size() + 1024);
  JsonWriter json(body);
  json.begin_object();
  json.key("conversation_id").string(turn.conversation.id.to_string());
  json.key("message_id").string(message.id.to_string());
  json.key("status").string(store::status_name(message.status));
  json.key("bytes").integer(static_cast<std::int64_t>(message.content.size()));
  json.key("message");
  write_message(json, message);
  if (turn.prompt) {
    json.key("user_message");
    write_message(json, *turn.prompt);
  }
  json.end_object();
  return body;
}

Task<http::Response> get(Services& services, http::Request& request) {
  auto id = conversation_id_of(request);
  auto message_id = message_id_of(request);
  bool events = wants_events(request);
  auto offset = events ? last_event_id_of(request) : std::nullopt;
  auto following = std::make_shared<Following>();
  following->request_id = request.request_id;
  following->behind_most = services.follower_behind_most;
  following->turn = co_await services.turns.follow(request.user, id, message_id, request.trace);
  if (!events) co_return json_reply(200, state_json(following->turn));
  if (offset) {
    bool more = co_await go_on_at(*following, *offset);
    if (!more) {
      http::Response nothing;
      nothing.status = 204;
      co_return nothing;
    }
  }
  co_return event_stream(std::move(following));
}

Task<http::Response> cancel(Services& services, http::Request& request) {
  auto id = conversation_id_of(request);
  auto message_id = message_id_of(request);
  auto message = co_await services.turns.cancel(request.user, id, message_id, request.trace);
  std::string body;
  body.reserve(2 * message.content.size() + 256);
  JsonWriter json(body);
  write_message(json, message);
  co_return json_reply(200, std::move(body));
}

}  // namespace

void add_generation_routes(http::Router& router, Services& services) {
  using http::Method;
  auto add = [&](Method method, const char* path, auto handler) {
    router.add({method, path, false, [&services, handler](http::Request& request) {
                  return handler(services, request);
                }});
  };
  add(Method::kGet, "/conversations/{conversation_id}/generations/{message_id}", get);
  add(Method::kDelete, "/conversations/{conversation_id}/generations/{message_id}", cancel);
}

}  // namespace colloquy::api
