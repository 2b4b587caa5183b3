// How long the calls of a store take, for every store alike. Thread-safe.
#pragma once

#include <chrono>

#include "telemetry/metrics.h"

namespace colloquy::store {

struct OperationMetrics {
  explicit OperationMetrics(telemetry::Metrics& metrics);

  telemetry::Histogram& create_conversation;
  telemetry::Histogram& get_conversation;
  telemetry::Histogram& list_conversations;
  telemetry::Histogram& update_conversation;
  telemetry::Histogram& delete_conversation;
  telemetry::Histogram& append_message;
  telemetry::Histogram& find_appended;
  telemetry::Histogram& list_messages;
  telemetry::Histogram& get_message;
  telemetry::Histogram& delete_message;
  telemetry::Histogram& read_recent;
  telemetry::Histogram& start_turn;
  telemetry::Histogram& find_turn;
  telemetry::Histogram& finish_turn;
  telemetry::Histogram& save_partial;
  telemetry::Histogram& find_owner;
  telemetry::Histogram& take;
};

// Measures one call of a store, however it ends.
class OperationTimer {
 public:
  explicit OperationTimer(telemetry::Histogram& histogram)
      : histogram_(histogram), start_(std::chrono::steady_clock::now()) {}
  ~OperationTimer() {
    histogram_.Observe(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count());
  }
  OperationTimer(const OperationTimer&) = delete;
  OperationTimer& operator=(const OperationTimer&) = delete;

 private:
  telemetry::Histogram& histogram_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace colloquy::store
