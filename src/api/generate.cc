// POST /generate: a turn, answered whole or as a stream of events.
#include <string>
#include <utility>

#include "api/attachments.h"
#include "api/body.h"
#include "api/request_fields.h"
#include "api/services.h"
#include "api/turn_requests.h"
#include "base/error.h"

namespace colloquy::api {
namespace {

// Reads the body into a turn; true when a stream is asked for.
bool read_turn(const http::Request& request, chat::TurnRequest& turn) {
  Body body(request);
  turn.prompt = body.required_string("prompt");
  bool stream = read_answer_fields(body, request, turn);
  turn.metadata = body.string_map("metadata").value_or(store::Metadata());
  turn.client_message_id = body.optional_string("client_message_id").value_or("");
  turn.attachments = read_attachments(body);
  turn.place = read_place(body);
  turn.temporary = body.optional_boolean("temporary").value_or(false);
  if (turn.temporary && turn.conversation_id) {
    body.refuse("temporary", "goes without a conversation_id: PATCH the conversation");
  }
  if (!turn.place.empty() && !turn.conversation_id) {
    body.refuse(turn.place.edit_of ? "edit_of" : "parent_id", "needs a conversation_id");
  }
  body.finish();
  return stream;
}

Task<http::Response> generate(Services& services, http::Request& request) {
  chat::TurnRequest turn;
  if (const auto* id = request.query_parameter("conversation_id")) {
    turn.conversation_id = ConversationId::parse(*id);
    if (!turn.conversation_id) throw not_found();
  }
  bool stream = read_turn(request, turn);
  std::string scope = turn.conversation_id ? turn.conversation_id->to_string() : "new";
  auto key = idempotency_key_of(request, services.clock.now_s(), scope, turn.client_message_id);
  co_return co_await answer_with_turn(services, request, std::move(turn), std::move(key), stream);
}

}  // namespace

void add_generate_routes(http::Router& router, Services& services) {
  router.add({http::Method::kPost, "/generate", false,
              [&services](http::Request& request) { return generate(services, request); }});
}

}  // namespace colloquy::api
