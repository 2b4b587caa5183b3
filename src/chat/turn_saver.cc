#include "chat/turn_saver.h"

#include <chrono>

#include "base/pause.h"
#include "telemetry/log.h"

namespace colloquy::chat {

using std::chrono::milliseconds;

namespace {

constexpr auto kSaveAttempts = 6;

}  // namespace

bool is_passing(const Error& error) {
  return error.code() == ErrorCode::kUnavailable || error.code() == ErrorCode::kThrottled;
}

Task<std::optional<Error>> TurnSaver::save(const RunningTurn& turn, store::Message& reply) {
  auto wait = milliseconds(50);
  std::optional<Error> failure;
  for (int attempt = 0; attempt < kSaveAttempts; ++attempt) {
    if (attempt > 0) {
      co_await pause(wait);
      wait *= 3;
    }
    failure.reset();
    try {
      auto finished = co_await store_.finish_turn(turn.generation->user(),
                                                  turn.generation->conversation(), reply);
      reply.timestamp_s = finished.reply.timestamp_s;
      telemetry::log_info("message.added",
                          {{"user_id", turn.generation->user().value()},
                           {"conversation_id", turn.generation->conversation().to_string()},
                           {"message_id", reply.id.to_string()},
                           {"role", store::role_name(reply.role)}});
      co_return std::nullopt;
    } catch (const Error& error) {
      failure = error;
    } catch (const std::exception& error) {
      failure = internal_error(error.what());
    }
    if (!is_passing(*failure)) break;
  }
  co_return failure;
}

}  // namespace colloquy::chat
