#include "chat/background_model.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "telemetry/log.h"

namespace colloquy::chat {
namespace {

std::string purpose_name(BackgroundPurpose purpose) {
  return purpose == BackgroundPurpose::kTitle ? "title" : "summary";
}

}  // namespace

// Belongs to its event loop.
struct BackgroundModel::Call {
  explicit Call(const boost::asio::any_io_executor& on) : executor(on), deadline(on) {}
  boost::asio::any_io_executor executor;
  boost::asio::steady_timer deadline;
  llm::Cancellation cancellation;
  bool given_up = false;

  void give_up() {
    given_up = true;
    cancellation.request();
  }
};

struct BackgroundModel::Instruments {
  explicit Instruments(telemetry::Metrics& metrics) : metrics_(metrics) {}

  void ended(BackgroundPurpose purpose, const std::string& outcome) {
    metrics_
        .counter("colloquy_background_work_total",
                 "Titles and summaries that the model was to make, by how that ended.",
                 {{"purpose", purpose_name(purpose)}, {"outcome", outcome}})
        .Increment();
  }
  void used(BackgroundPurpose purpose, const llm::CompletionResult& result) {
    tokens(purpose, "prompt").Increment(static_cast<double>(result.prompt_tokens));
    tokens(purpose, "completion").Increment(static_cast<double>(result.completion_tokens));
  }

 private:
  telemetry::Counter& tokens(BackgroundPurpose purpose, const std::string& kind) {
    return metrics_.counter("colloquy_background_tokens_total",
                            "Tokens given to and made by the model for titles and summaries.",
                            {{"purpose", purpose_name(purpose)}, {"kind", kind}});
  }
  telemetry::Metrics& metrics_;
};

BackgroundModel::BackgroundModel(llm::Provider& provider, telemetry::Metrics& metrics,
                                 BackgroundOptions options)
    : provider_(provider),
      options_(options),
      instruments_(std::make_unique<Instruments>(metrics)) {}

BackgroundModel::~BackgroundModel() = default;

bool BackgroundModel::start(const boost::asio::any_io_executor& executor, BackgroundPurpose purpose,
                            Task<> work) {
  auto running = running_.load();
  do {
    if (draining_ || running >= options_.most_at_once) {
      instruments_->ended(purpose, "skipped");
      return false;
    }
  } while (!running_.compare_exchange_weak(running, running + 1));
  boost::asio::co_spawn(executor, run(purpose, std::move(work)), boost::asio::detached);
  return true;
}

Task<> BackgroundModel::run(BackgroundPurpose purpose, Task<> work) {
  std::string failure;
  try {
    co_await std::move(work);
  } catch (const Error& error) {
    failure = error.message() + (error.detail().empty() ? "" : " " + error.detail());
  } catch (const std::exception& error) {
    failure = error.what();
  }
  instruments_->ended(purpose, failure.empty() ? "done" : "failed");
  if (!failure.empty()) {
    telemetry::log_warning("background.failed",
                           {{"purpose", purpose_name(purpose)}, {"error", failure}});
  }
  --running_;
  ended_.notify_all();
}

Task<std::string> BackgroundModel::ask(BackgroundPurpose purpose, llm::CompletionRequest request,
                                       std::size_t max_bytes) {
  auto call = std::make_shared<Call>(co_await boost::asio::this_coro::executor);
  {
    std::scoped_lock lock(mutex_);
    calls_.insert(call);
  }
  struct Removal {
    BackgroundModel& model;
    std::shared_ptr<Call>& call;
    ~Removal() {
      call->deadline.cancel();
      std::scoped_lock lock(model.mutex_);
      model.calls_.erase(call);
    }
  } removal{*this, call};
  if (draining_) throw unavailable("The server is shutting down.");
  call->deadline.expires_after(options_.timeout);
  call->deadline.async_wait([call](boost::system::error_code stopped) {
    if (!stopped) call->give_up();
  });
  request.background = true;
  std::string text;
  llm::TextSink sink = [&text, &call, max_bytes](std::string_view piece) {
    text.append(cut_utf8(piece, max_bytes - text.size()));
    if (text.size() + 4 > max_bytes) call->cancellation.request();
  };
  auto result = co_await provider_.complete(std::move(request), sink, call->cancellation);
  instruments_->used(purpose, result);
  if (call->given_up) throw unavailable("The model took too long.");
  co_return text;
}

Task<> BackgroundModel::drain(std::chrono::milliseconds at_most) {
  draining_ = true;
  std::vector<std::shared_ptr<Call>> calls;
  {
    std::scoped_lock lock(mutex_);
    calls.assign(calls_.begin(), calls_.end());
  }
  for (const auto& call : calls) {
    boost::asio::post(call->executor, [call] { call->give_up(); });
  }
  auto give_up = std::chrono::steady_clock::now() + at_most;
  while (running_ > 0) {
    auto ticket = ended_.ticket();
    if (running_ == 0) break;
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        give_up - std::chrono::steady_clock::now());
    if (left.count() <= 0) break;
    co_await ended_.wait(ticket, left);
  }
}

}  // namespace colloquy::chat
