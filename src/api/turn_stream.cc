#include "api/turn_stream.h"

#include <utility>

#include "api/error_reply.h"
#include "api/objects.h"
#include "base/error.h"
#include "http/sse.h"
#include "store/json_members.h"

namespace colloquy::api {
namespace {

using std::chrono::steady_clock;

constexpr auto kKeepAlive = std::chrono::seconds(15);

std::string start_json(const chat::Turn& turn) {
  std::string data;
  JsonWriter json(data);
  json.begin_object();
  json.key("conversation_id").string(turn.conversation.id.to_string());
  json.key("message_id").string(turn.reply.id.to_string());
  if (turn.prompt) json.key("user_message_id").string(turn.prompt->id.to_string());
  json.end_object();
  return data;
}

std::string token_json(std::string_view text) {
  std::string data;
  JsonWriter(data).begin_object().key("text").string(text).end_object();
  return data;
}

// An answer that has ended is followed like one that is made.
void replay(chat::Turn& turn) {
  chat::GenerationOutcome outcome;
  outcome.reply = turn.reply;
  if (said_nothing_and_failed(turn.reply)) outcome.error = no_answer();
  turn.generation = std::make_shared<chat::Generation>(turn.conversation.user_id,
                                                       turn.conversation.id, turn.reply.id);
  turn.generation->append(turn.reply.content);
  turn.generation->end(std::move(outcome));
}

// The event that ends a stream. One that may go on elsewhere has no id, so that the client comes
// back where it was.
Task<> send_end(http::SseWriter& events, const Following& following) {
  auto outcome = co_await following.turn.generation->outcome();
  auto id = outcome.may_go_on ? std::string() : std::to_string(following.sent + 1);
  if (outcome.error) {
    co_await events.event("error", id, problem_json(*outcome.error, following.request_id));
  } else {
    co_await events.event("done", id, generation_json(following.turn, outcome.reply));
  }
}

Task<> send_events(std::shared_ptr<Following> following, http::BodyWriter& body) {
  http::SseWriter events(body);
  auto& turn = following->turn;
  if (following->resumed) {
    // The header goes out with the first piece, and the next token may take its time.
    co_await events.comment("going on");
  } else {
    co_await events.event("start", "0", start_json(turn));
  }
  if (!turn.generation) replay(turn);
  auto caught_up_at = steady_clock::now();
  while (true) {
    auto piece = co_await turn.generation->next(following->sent, kKeepAlive);
    if (piece.ended) break;
    if (piece.text.empty()) {
      co_await events.comment("still here");
    } else {
      following->sent += piece.text.size();
      co_await events.event("token", std::to_string(following->sent), token_json(piece.text));
    }
    if (!piece.more) {
      caught_up_at = steady_clock::now();
    } else if (steady_clock::now() - caught_up_at > following->behind_most) {
      body.abort();
      co_return;
    }
  }
  co_await send_end(events, *following);
}

}  // namespace

bool wants_events(const http::Request& request) {
  auto accept = request.header("Accept");
  return accept && accept->find("text/event-stream") != std::string_view::npos;
}

http::Response event_stream(std::shared_ptr<Following> following) {
  http::Response response;
  http::set_event_stream_headers(response);
  response.stream = [following](http::BodyWriter& body) { return send_events(following, body); };
  return response;
}

std::string generation_json(const chat::Turn& turn, const store::Message& reply) {
  std::string body;
  std::string_view prompt = turn.prompt ? turn.prompt->content : std::string_view();
  body.reserve(2 * reply.content.size() + 2 * prompt.size() + 1024);
  auto usage = reply.usage.value_or(store::Usage());
  // An answer that was cut by a crash has no reason of its own.
  auto reason = reply.finish_reason == store::FinishReason::kNone ? store::FinishReason::kError
                                                                  : reply.finish_reason;
  JsonWriter json(body);
  json.begin_object();
  json.key("generated_text").string(reply.content);
  json.key("prompt").string(prompt);
  json.key("num_tokens").integer(usage.completion_tokens);
  json.key("conversation_id").string(turn.conversation.id.to_string());
  json.key("message");
  write_message(json, reply);
  if (turn.prompt) {
    json.key("user_message");
    write_message(json, *turn.prompt);
  }
  json.key("finish_reason").string(store::finish_reason_name(reason));
  store::write_usage(json, usage);
  json.end_object();
  return body;
}

Error no_answer() {
  return unavailable("The model gave no answer. To ask it again, use another key.");
}

bool said_nothing_and_failed(const store::Message& reply) {
  return reply.status == store::MessageStatus::kFailed && reply.content.empty();
}

}  // namespace colloquy::api
