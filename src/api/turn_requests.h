// What the requests that begin a turn have in common.
#pragma once

#include <optional>

#include "api/body.h"
#include "api/services.h"
#include "base/task.h"
#include "chat/turns.h"
#include "http/message.h"
#include "store/types.h"

namespace colloquy::api {

// Reads how the answer is to be made, and whether as a stream of events (true).
bool read_answer_fields(Body& body, const http::Request& request, chat::TurnRequest& turn);

// Begins the turn, or joins the one that an earlier request with the key began, and answers with
// it: whole or as a stream of events.
Task<http::Response> answer_with_turn(Services& services, const http::Request& request,
                                      chat::TurnRequest turn,
                                      std::optional<store::IdempotencyKey> key, bool stream);

}  // namespace colloquy::api
