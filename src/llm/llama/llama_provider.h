// A model in the process: a GGUF file, computed by llama.cpp's library. Thread-safe: completions
// may run on many event loops; the model computes on a thread of its own.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "llm/llama/engine.h"
#include "llm/provider.h"
#include "telemetry/metrics.h"

namespace colloquy::llm {

class LlamaProvider final : public Provider {
 public:
  // Blocks while the file is read. Throws Error(kInvalid) that says why it cannot be used.
  LlamaProvider(const std::string& file, EngineOptions options, telemetry::Metrics& metrics);
  // What still runs or waits fails with kUnavailable.
  ~LlamaProvider() override;

  // One: the file's name.
  const std::vector<std::string>& models() const override { return models_; }
  // Of a text of more than 64 KiB an estimate from its beginning.
  std::optional<std::size_t> count_tokens(std::string_view model, std::string_view text) override;
  // Throws kInvalid also when the conversation is too long for the model's context, and
  // kUnavailable when too many wait. Token counts are the tokenizer's own, with the template's.
  Task<CompletionResult> complete(CompletionRequest request, const TextSink& sink,
                                  Cancellation& cancellation) override;

 private:
  // A completion that is destroyed later than the provider still finds it.
  struct Shared;

  const std::shared_ptr<Shared> shared_;
  const std::vector<std::string> models_;
};

}  // namespace colloquy::llm
