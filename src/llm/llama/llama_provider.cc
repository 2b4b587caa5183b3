#include "llm/llama/llama_provider.h"

#include <algorithm>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/this_coro.hpp>
#include <memory>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "llm/llama/completion_job.h"
#include "llm/llama/model_file.h"

namespace colloquy::llm {
struct LlamaProvider::Shared {
  Shared(const std::string& file, EngineOptions options, telemetry::Metrics& metrics)
      : model(file), engine(model, options, metrics) {}
  const ModelFile model;
  Engine engine;
};

namespace {

std::size_t count(const ModelFile& model, std::string_view text) {
  if (text.size() <= kCountedBytesMax) return model.count_tokens(text);
  const auto beginning = cut_utf8(text, kCountedBytesMax);
  return model.count_tokens(beginning) * text.size() / std::max<std::size_t>(1, beginning.size());
}

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
    : shared_(std::make_shared<Shared>(file, options, metrics)), models_{shared_->model.name()} {}

LlamaProvider::~LlamaProvider() { shared_->engine.stop(); }

std::optional<std::size_t> LlamaProvider::count_tokens(std::string_view /*model*/,
                                                       std::string_view text) {
  return count(shared_->model, text);
}

Task<CompletionResult> LlamaProvider::complete(CompletionRequest request, const TextSink& sink,
                                               Cancellation& cancellation) {
  if (!request.model.empty() && request.model != models_.front()) {
    throw invalid_field("model", "is not a model of this server");
  }
  const boost::asio::any_io_executor executor = co_await boost::asio::this_coro::executor;
  if (cancellation.requested()) co_return CompletionResult{};
  auto job = std::make_shared<CompletionJob>(std::move(request), sink, executor);
  const auto shared = shared_;
  shared->engine.submit(job);
  cancellation.on_request([job = job.get(), shared = shared.get()] {
    job->cancel();
    shared->engine.notice();
  });
  const Left left{cancellation, *job, shared->engine};
  co_return co_await job->wait();
}

}  // namespace colloquy::llm
