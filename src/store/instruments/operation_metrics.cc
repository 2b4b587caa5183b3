#include "store/instruments/operation_metrics.h"

namespace colloquy::store {
namespace {

telemetry::Histogram& operation_seconds(telemetry::Metrics& metrics, const char* operation) {
  return metrics.histogram("colloquy_store_operation_seconds", "Time of one call of the store.",
                           telemetry::latency_buckets(), {{"operation", operation}});
}

}  // namespace

OperationMetrics::OperationMetrics(telemetry::Metrics& metrics)
    : create_conversation(operation_seconds(metrics, "create_conversation")),
      get_conversation(operation_seconds(metrics, "get_conversation")),
      list_conversations(operation_seconds(metrics, "list_conversations")),
      update_conversation(operation_seconds(metrics, "update_conversation")),
      delete_conversation(operation_seconds(metrics, "delete_conversation")),
      append_message(operation_seconds(metrics, "append_message")),
      find_appended(operation_seconds(metrics, "find_appended")),
      list_messages(operation_seconds(metrics, "list_messages")),
      get_message(operation_seconds(metrics, "get_message")),
      delete_message(operation_seconds(metrics, "delete_message")),
      read_recent(operation_seconds(metrics, "read_recent")),
      start_turn(operation_seconds(metrics, "start_turn")),
      find_turn(operation_seconds(metrics, "find_turn")),
      finish_turn(operation_seconds(metrics, "finish_turn")),
      save_partial(operation_seconds(metrics, "save_partial")),
      find_owner(operation_seconds(metrics, "find_owner")),
      take(operation_seconds(metrics, "take")) {}

}  // namespace colloquy::store
