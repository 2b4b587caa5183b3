#include "llm/llama/llama_provider.h"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/this_coro.hpp>
#include <memory>
#include <utility>

#include "base/error.h"
#include "llm/llama/completion_job.h"

namespace colloquy::llm {
namespace {

// The completion is over, however it ended: nothing of the caller's is touched any more.
struct Left {
  ~Left() {
    cancellation.on_request({});
    job.leave();
    job.cancel();
    engine.notice();
  }
  Cancellation& cancellation;
  CompletionJob& job;
  Engine& engine;
};

}  // namespace

LlamaProvider::LlamaProvider(const std::string& file, EngineOptions options,
                             telemetry::Metrics& metrics)
    : model_(file), models_{model_.name()}, engine_(model_, options, metrics) {}

std::size_t LlamaProvider::count_tokens(std::string_view text) const {
  return model_.count_tokens(text);
}

std::optional<std::size_t> LlamaProvider::count_tokens(std::string_view /*model*/,
                                                       std::string_view text) {
  return model_.count_tokens(text);
}

Task<CompletionResult> LlamaProvider::complete(CompletionRequest request, const TextSink& sink,
                                               Cancellation& cancellation) {
  if (!request.model.empty() && request.model != models_.front()) {
    throw invalid_field("model", "is not a model of this server");
  }
  const boost::asio::any_io_executor executor = co_await boost::asio::this_coro::executor;
  if (cancellation.requested()) co_return CompletionResult{};
  auto job = std::make_shared<CompletionJob>(std::move(request), sink, executor);
  engine_.submit(job);
  cancellation.on_request([job = job.get(), this] {
    job->cancel();
    engine_.notice();
  });
  const Left left{cancellation, *job, engine_};
  co_return co_await job->wait();
}

}  // namespace colloquy::llm
