#include "api/turn_requests.h"

#include <cstdint>
#include <memory>
#include <utility>

#include "api/attachments.h"
#include "api/request_fields.h"
#include "api/turn_stream.h"
#include "base/error.h"
#include "base/limits.h"

namespace colloquy::api {
namespace {

constexpr std::int64_t kMaxTokensMost = 10'000'000;

std::optional<Error> over_token_budget(Services& services, const UserId& user) {
  auto verdict = services.tokens.take(user, 0);
  if (!verdict || verdict->allowed) return std::nullopt;
  return Error(ErrorCode::kThrottled, "You have used up your tokens for this minute.")
      .with_retry_after(static_cast<int>(verdict->reset_s));
}

// A repeat takes no tokens and looks for no files: it is joined also where the user has none left.
Task<chat::Turn> start_or_join(Services& services, UserId user, chat::TurnRequest request,
                               std::optional<store::IdempotencyKey> key) {
  auto refusal = over_token_budget(services, user);
  if (!refusal) refusal = co_await refusal_of_attachments(services, user, request.attachments);
  if (!refusal) {
    co_return co_await services.turns.start(std::move(user), std::move(request), std::move(key));
  }
  if (key) {
    auto earlier =
        co_await services.turns.join(std::move(user), request.conversation_id, *key, request.trace);
    if (earlier) co_return std::move(*earlier);
  }
  throw std::move(*refusal);
}

}  // namespace

bool read_answer_fields(Body& body, const http::Request& request, chat::TurnRequest& turn) {
  auto& sampling = turn.sampling;
  auto max_tokens = body.optional_integer("max_tokens", 1, kMaxTokensMost);
  if (max_tokens) sampling.max_tokens = static_cast<int>(*max_tokens);
  sampling.temperature = body.optional_number("temperature", 0, 2);
  sampling.top_p = body.optional_number("top_p", 0, 1);
  if (sampling.top_p && *sampling.top_p <= 0) body.refuse("top_p", "must be above 0");
  auto top_k = body.optional_integer("top_k", 1, 1'000'000);
  if (top_k) sampling.top_k = static_cast<int>(*top_k);
  sampling.seed = body.optional_integer("seed", INT64_MIN, INT64_MAX);
  sampling.stop =
      body.string_or_strings("stop", limits::kStopSequences, limits::kStopSequenceBytes);
  if (auto model = body.optional_string("model")) {
    if (model->empty()) body.refuse("model", "must not be empty");
    turn.model = std::move(*model);
  }
  turn.request_id = request.request_id;
  turn.trace = request.trace;
  return body.optional_boolean("stream").value_or(wants_events(request));
}

Task<http::Response> answer_with_turn(Services& services, const http::Request& request,
                                      chat::TurnRequest turn_request,
                                      std::optional<store::IdempotencyKey> key, bool stream) {
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

}  // namespace colloquy::api
