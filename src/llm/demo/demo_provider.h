// The model that needs nothing: it streams a short, deterministic answer that shows what context
// it was given. Thread-safe.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "llm/provider.h"

namespace colloquy::llm {

struct DemoOptions {
  std::string model = "demo";
  std::chrono::microseconds delay_per_token{
      0};  // 0: other work of the event loop still gets its turn
};

class DemoProvider final : public Provider {
 public:
  explicit DemoProvider(DemoOptions options = {});

  const std::vector<std::string>& models() const override { return models_; }
  std::optional<std::size_t> count_tokens(std::string_view model, std::string_view text) override;
  // Throws kInvalid for a model other than its one. Sampling but for max_tokens and stop is
  // ignored.
  Task<CompletionResult> complete(CompletionRequest request, const TextSink& sink,
                                  Cancellation& cancellation) override;

 private:
  const DemoOptions options_;
  const std::vector<std::string> models_;
};

}  // namespace colloquy::llm
