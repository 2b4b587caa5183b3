// POST /generate: a turn, answered whole or as a stream of events.
#include <chrono>
#include <memory>
#include <utility>

#include "api/body.h"
#include "api/error_reply.h"
#include "api/objects.h"
#include "api/request_fields.h"
#include "api/services.h"
#include "base/error.h"
#include "base/limits.h"
#include "http/sse.h"

namespace colloquy::api {
namespace {

constexpr auto kKeepAlive = std::chrono::seconds(15);
constexpr std::int64_t kMaxTokensMost = 10'000'000;

// A follower of one turn: what it was joined with, and what was sent so far.
struct Following {
  chat::Turn turn;
  std::string request_id;
};

// The answer of a turn that has ended (openapi.yaml: Generation).
std::string generation_json(const chat::Turn& turn, const store::Message& reply) {
  std::string body;
  body.reserve(2 * reply.content.size() + 2 * turn.prompt.content.size() + 1024);
  auto usage = reply.usage.value_or(store::Usage());
  // An answer that was cut by a crash has no reason of its own.
  auto reason = reply.finish_reason == store::FinishReason::kNone ? store::FinishReason::kError
                                                                  : reply.finish_reason;
  JsonWriter json(body);
  json.begin_object();
  json.key("generated_text").string(reply.content);
  json.key("prompt").string(turn.prompt.content);
  json.key("num_tokens").integer(usage.completion_tokens);
  json.key("conversation_id").string(turn.conversation.id.to_string());
  json.key("message");
  write_message(json, reply);
  json.key("user_message");
  write_message(json, turn.prompt);
  json.key("finish_reason").string(store::finish_reason_name(reason));
  json.key("usage").begin_object();
  json.key("prompt_tokens").integer(usage.prompt_tokens);
  json.key("completion_tokens").integer(usage.completion_tokens).end_object();
  json.end_object();
  return body;
}

std::string start_json(const chat::Turn& turn) {
  std::string data;
  JsonWriter json(data);
  json.begin_object();
  json.key("conversation_id").string(turn.conversation.id.to_string());
  json.key("message_id").string(turn.reply.id.to_string());
  json.key("user_message_id").string(turn.prompt.id.to_string()).end_object();
  return data;
}

std::string token_json(std::string_view text) {
  std::string data;
  JsonWriter(data).begin_object().key("text").string(text).end_object();
  return data;
}

// The event that ends a stream.
Task<> send_end(http::SseWriter& events, const Following& following, std::size_t sent,
                const store::Message& reply, const std::optional<Error>& error) {
  auto id = std::to_string(sent + 1);
  if (error) {
    co_await events.event("error", id, problem_json(*error, following.request_id));
  } else {
    co_await events.event("done", id, generation_json(following.turn, reply));
  }
}

Task<> stream_turn(std::shared_ptr<Following> following, http::BodyWriter& body) {
  http::SseWriter events(body);
  const auto& turn = following->turn;
  co_await events.event("start", "0", start_json(turn));
  std::size_t sent = 0;
  if (!turn.generation) {  // a repeat whose answer is saved already
    const auto& text = turn.reply.content;
    if (!text.empty()) {
      co_await events.event("token", std::to_string(text.size()), token_json(text));
    }
    co_await send_end(events, *following, text.size(), turn.reply, std::nullopt);
    co_return;
  }
  while (true) {
    auto piece = co_await turn.generation->next(sent, kKeepAlive);
    if (piece.ended) break;
    if (piece.text.empty()) {
      co_await events.comment("still here");
      continue;
    }
    sent += piece.text.size();
    co_await events.event("token", std::to_string(sent), token_json(piece.text));
  }
  auto outcome = co_await turn.generation->outcome();
  co_await send_end(events, *following, sent, outcome.reply, outcome.error);
}

bool wants_events(const http::Request& request) {
  auto accept = request.header("Accept");
  return accept && accept->find("text/event-stream") != std::string_view::npos;
}

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

// A repeat of a turn that failed with nothing said is told so again: an empty answer would pass for
// one.
void refuse_failed(const chat::Turn& turn) {
  bool failed = !turn.generation && turn.reply.status == store::MessageStatus::kFailed;
  if (failed && turn.reply.content.empty()) {
    throw unavailable("The model gave no answer. To ask it again, use another key.");
  }
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
  following->turn =
      co_await start_or_join(services, request.user, std::move(turn_request), std::move(key));
  auto& turn = following->turn;
  refuse_failed(turn);
  if (stream) {
    http::Response response;
    http::set_event_stream_headers(response);
    response.stream = [following](http::BodyWriter& body) { return stream_turn(following, body); };
    co_return response;
  }
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
