// Calls of the model that no user waits for: titles and summaries. So many at once, each bounded in
// time and in text; what finds no room is not done. They count in metrics of their own and in
// nobody's usage. Callable from every event loop.
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "base/signal.h"
#include "base/task.h"
#include "llm/provider.h"
#include "telemetry/metrics.h"

namespace colloquy::chat {

enum class BackgroundPurpose : std::uint8_t { kTitle, kSummary };

struct BackgroundOptions {
  std::size_t most_at_once = 16;
  std::chrono::milliseconds timeout{60'000};  // of one call
};

class BackgroundModel {
 public:
  // All references outlive it.
  BackgroundModel(llm::Provider& provider, telemetry::Metrics& metrics,
                  BackgroundOptions options = {});
  ~BackgroundModel();

  // Runs `work` on the executor by itself; what it throws is logged and counted. False when there
  // is no room, or the server shuts down: then it is not run.
  bool start(const boost::asio::any_io_executor& executor, BackgroundPurpose purpose, Task<> work);

  // Within `work`: what the model says, cut after `max_bytes` at a whole character. Throws what the
  // provider does, and kUnavailable when it takes too long or the server shuts down.
  Task<std::string> ask(BackgroundPurpose purpose, llm::CompletionRequest request,
                        std::size_t max_bytes);

  // Starts nothing more, stops what runs, and waits until it has ended or the time is up.
  Task<> drain(std::chrono::milliseconds at_most);

  std::size_t running() const { return running_.load(); }

 private:
  struct Call;
  struct Instruments;
  Task<> run(BackgroundPurpose purpose, Task<> work);

  llm::Provider& provider_;
  const BackgroundOptions options_;
  std::unique_ptr<Instruments> instruments_;
  std::atomic<std::size_t> running_{0};
  std::atomic<bool> draining_{false};
  std::mutex mutex_;
  std::set<std::shared_ptr<Call>> calls_;  // guarded by mutex_
  Signal ended_;
};

}  // namespace colloquy::chat
