// A turn as its followers get it: a stream of events, or one object. The same for the request that
// began the turn, its repeats, and whoever follows the answer later.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "chat/turns.h"
#include "http/message.h"

namespace colloquy::api {

bool wants_events(const http::Request& request);

// One follower. `turn.generation` may be null: then the answer has ended, and is as it was saved.
struct Following {
  chat::Turn turn;
  std::string request_id;
  std::size_t sent = 0;  // bytes of the answer that the client has
  bool resumed = false;  // and it has seen `start`
  // A client that is behind what was said for longer is let go: it comes back with Last-Event-ID.
  std::chrono::milliseconds behind_most{30'000};
};

// `start` unless resumed, `token`…, then `done` or `error` (openapi.yaml: generate). Holds no more
// than a small piece of the answer for a client that reads slowly.
http::Response event_stream(std::shared_ptr<Following> following);

// The answer of a turn that has ended (openapi.yaml: GenerateResult).
std::string generation_json(const chat::Turn& turn, const store::Message& reply);

// Why an answer that has ended with nothing said is told as an error: it would pass for an answer.
Error no_answer();
bool said_nothing_and_failed(const store::Message& reply);

}  // namespace colloquy::api
