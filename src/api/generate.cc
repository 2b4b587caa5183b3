// POST /generate: a turn, answered whole or as a stream of events.
#include <memory>
#include <utility>

#include "api/body.h"
#include "api/request_fields.h"
#include "api/services.h"
#include "api/turn_stream.h"
#include "base/error.h"
#include "base/limits.h"

namespace colloquy::api {
namespace {

constexpr std::int64_t kMaxTokensMost = 10'000'000;

// Reads the body into a turn; true when a stream is asked for.
bool read_turn(const http::Request& request, chat::TurnRequest& turn) {
  Body body(request);
  turn.prompt = body.required_string("prompt");
  auto max_tokens = body.optional_integer("max_tokens", 1, kMaxTokensMost);
  if (max_tokens) turn.sampling.max_tokens = static_cast<int>(*max_tokens);
  turn.sampling.temperature = body.optional_number("temperature", 0, 2);
  turn.sampling.top_p = body.optional_number("top_p", 0, 1);
  auto top_k = body.optional_integer("top_k", 1, 1'000'000);
  if (top_k) turn.sampling.top_k = static_cast<int>(*top_k);
  turn.sampling.seed = body.optional_integer("seed", INT64_MIN, INT64_MAX);
  turn.sampling.stop =
      body.string_or_strings("stop", limits::kStopSequences, limits::kStopSequenceBytes);
  if (auto model = body.optional_string("model")) {
    if (model->empty()) body.refuse("model", "must not be empty");
    turn.model = std::move(*model);
  }
  turn.metadata = body.string_map("metadata").value_or(store::Metadata());
  turn.client_message_id = body.optional_string("client_message_id").value_or("");
  bool stream = body.optional_boolean("stream").value_or(wants_events(request));
  if (turn.sampling.top_p && *turn.sampling.top_p <= 0) body.refuse("top_p", "must be above 0");
  body.finish();
  turn.request_id = request.request_id;
  return stream;
}

std::optional<Error> over_token_budget(Services& services, const UserId& user) {
  auto verdict = services.tokens.take(user, 0);
  if (!verdict || verdict->allowed) return std::nullopt;
  return Error(ErrorCode::kThrottled, "You have used up your tokens for this minute.")
      .with_retry_after(static_cast<int>(verdict->reset_s));
}

// A repeat takes no tokens: it is joined also where the user has none left.
Task<chat::Turn> start_or_join(Services& services, UserId user, chat::TurnRequest request,
                               std::optional<store::IdempotencyKey> key) {
  auto refusal = over_token_budget(services, user);
  if (!refusal) {
    co_return co_await services.turns.start(std::move(user), std::move(request), std::move(key));
  }
  if (key) {
    auto earlier = co_await services.turns.join(std::move(user), request.conversation_id, *key);
    if (earlier) co_return std::move(*earlier);
  }
  throw std::move(*refusal);
}

Task<http::Response> generate(Services& services, http::Request& request) {
  chat::TurnRequest turn_request;
  if (const auto* id = request.query_parameter("conversation_id")) {
    turn_request.conversation_id = ConversationId::parse(*id);
    if (!turn_request.conversation_id) throw not_found();
  }
  bool stream = read_turn(request, turn_request);
  std::string scope =
      turn_request.conversation_id ? turn_request.conversation_id->to_string() : "new";
  auto key =
      idempotency_key_of(request, services.clock.now_s(), scope, turn_request.client_message_id);
  auto following = std::make_shared<Following>();
  following->request_id = request.request_id;
  following->behind_most = services.follower_behind_most;
  following->turn =
      co_await start_or_join(services, request.user, std::move(turn_request), std::move(key));
  auto& turn = following->turn;
  if (!turn.generation && said_nothing_and_failed(turn.reply)) throw no_answer();
  if (stream) co_return event_stream(std::move(following));
  if (turn.generation) {
    auto outcome = co_await turn.generation->outcome();
    // What was said before a failure is an answer, marked as failed. Nothing said is an error, and
    // so is what could not be saved.
    bool is_answer = outcome.durable && !outcome.reply.content.empty();
    if (outcome.error && !is_answer) throw std::move(*outcome.error);
    turn.reply = std::move(outcome.reply);
  }
  co_return json_reply(200, generation_json(turn, turn.reply));
}

}  // namespace

void add_generate_routes(http::Router& router, Services& services) {
  router.add({http::Method::kPost, "/generate", false,
              [&services](http::Request& request) { return generate(services, request); }});
}

}  // namespace colloquy::api
