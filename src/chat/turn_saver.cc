#include "chat/turn_saver.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <chrono>
#include <utility>

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

void TurnSaver::begin(std::shared_ptr<RunningTurn> turn) const {
  if (partial_interval_.count() == 0) return;
  auto executor = turn->executor;
  boost::asio::co_spawn(executor, save_parts(store_, partial_interval_, std::move(turn)),
                        boost::asio::detached);
}

Task<> TurnSaver::save_parts(store::Store& store, milliseconds interval,
                             std::shared_ptr<RunningTurn> turn) {
  // It does without the saver: the turn may be over before its last wait is.
  auto reply = turn->reply;
  bool told = false;
  while (!turn->answered) {
    turn->next_partial_save.expires_after(interval);
    co_await turn->next_partial_save.async_wait(boost::asio::as_tuple(boost::asio::deferred));
    if (turn->answered || turn->said_bytes == reply.content.size()) continue;
    turn->saves_partly = true;
    bool goes_on = true;
    try {
      reply.content = turn->generation->text();
      goes_on = co_await store.save_partial(turn->generation->user(),
                                            turn->generation->conversation(), reply);
    } catch (const std::exception& error) {
      // The end of the turn is what is tried again and again.
      if (!told) {
        telemetry::log_warning("turn.partial_save_failed",
                               {{"message_id", reply.id.to_string()},
                                {"trace_id", turn->request.trace.trace_id},
                                {"span_id", turn->request.trace.span_id},
                                {"error", error.what()}});
      }
      told = true;
      reply.content.clear();
    }
    turn->saves_partly = false;
    turn->partly_saved.notify_all();
    if (!goes_on) break;
  }
}

Task<> TurnSaver::end(RunningTurn& turn) {
  turn.answered = true;
  turn.next_partial_save.cancel();
  while (turn.saves_partly) {
    co_await turn.partly_saved.wait(turn.partly_saved.ticket(), milliseconds(1'000));
  }
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
                           {"role", store::role_name(reply.role)},
                           {"trace_id", turn.request.trace.trace_id},
                           {"span_id", turn.request.trace.span_id}});
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
