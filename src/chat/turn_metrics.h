// What turns measure. Thread-safe.
#pragma once

#include <string>

#include "store/types.h"
#include "telemetry/metrics.h"

namespace colloquy::chat {

class TurnMetrics {
 public:
  explicit TurnMetrics(telemetry::Metrics& metrics)
      : running(metrics.gauge("colloquy_turns_running", "Answers that the model is making now.")),
        first_token(metrics.histogram("colloquy_turn_first_token_seconds",
                                      "From the start of a turn to the answer's first text.",
                                      telemetry::latency_buckets())),
        duration(metrics.histogram("colloquy_turn_seconds",
                                   "From the start of a turn to its saved answer.",
                                   telemetry::latency_buckets())),
        prompt_tokens(tokens(metrics, "prompt")),
        completion_tokens(tokens(metrics, "completion")),
        metrics_(metrics) {}

  void ended(store::FinishReason reason) {
    std::string outcome(store::finish_reason_name(reason));
    metrics_
        .counter("colloquy_turns_total", "Turns that have ended, by how.", {{"outcome", outcome}})
        .Increment();
  }

  telemetry::Gauge& running;
  telemetry::Histogram& first_token;
  telemetry::Histogram& duration;
  telemetry::Counter& prompt_tokens;
  telemetry::Counter& completion_tokens;

 private:
  static telemetry::Counter& tokens(telemetry::Metrics& metrics, const std::string& kind) {
    return metrics.counter("colloquy_tokens_total", "Tokens given to and made by the model.",
                           {{"kind", kind}});
  }
  telemetry::Metrics& metrics_;
};

}  // namespace colloquy::chat
