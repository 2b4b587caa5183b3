// POST /conversations/{conversation_id}/messages/{message_id}/regenerate: another answer to the
// same message, beside those that there are.
#include <utility>

#include "api/body.h"
#include "api/request_fields.h"
#include "api/services.h"
#include "api/turn_requests.h"

namespace colloquy::api {
namespace {

Task<http::Response> regenerate(Services& services, http::Request& request) {
  chat::TurnRequest turn;
  turn.conversation_id = conversation_id_of(request);
  turn.regenerated = message_id_of(request);
  Body body(request, Body::Empty::kIsEmptyObject);
  bool stream = read_answer_fields(body, request, turn);
  body.finish();
  auto key = idempotency_key_of(request, services.clock.now_s());
  co_return co_await answer_with_turn(services, request, std::move(turn), std::move(key), stream);
}

}  // namespace

void add_regenerate_routes(http::Router& router, Services& services) {
  using http::Method;
  auto add = [&](Method method, const char* path, auto handler) {
    router.add({method, path, false, [&services, handler](http::Request& request) {
                  return handler(services, request);
                }});
  };
  add(Method::kPost, "/conversations/{conversation_id}/messages/{message_id}/regenerate",
      regenerate);
}

}  // namespace colloquy::api
