// One turn while it runs on this server, for turns.h and its parts alone.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <memory>

#include "base/signal.h"
#include "chat/generation.h"
#include "llm/provider.h"
#include "store/types.h"

namespace colloquy::chat {

// Why the model was asked to stop.
enum class Cut : std::uint8_t { kNone, kTooLong, kTimeout, kShutdown, kCancelled };

// All but `executor` and `generation` belongs to the turn's event loop.
struct RunningTurn {
  explicit RunningTurn(boost::asio::any_io_executor on)
      : executor(std::move(on)), deadline(executor), next_partial_save(executor) {}

  // The first reason counts. What the model says after it is left out.
  void cut(Cut why) {
    if (reason != Cut::kNone) return;
    reason = why;
    cancellation.request();
  }

  const boost::asio::any_io_executor executor;
  boost::asio::steady_timer deadline;
  boost::asio::steady_timer next_partial_save;
  std::shared_ptr<Generation> generation;
  llm::CompletionRequest request;
  llm::Cancellation cancellation;
  Cut reason = Cut::kNone;
  store::Message reply;
  std::size_t said_bytes = 0;
  bool answered = false;      // the model has ended
  bool saves_partly = false;  // a partial save is under way
  Signal partly_saved;        // it was
  std::int64_t lease_until_s = 0;
  std::chrono::steady_clock::time_point started_at = std::chrono::steady_clock::now();

  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - started_at).count();
  }
};

}  // namespace colloquy::chat
