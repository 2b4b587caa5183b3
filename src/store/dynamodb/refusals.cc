#include "store/dynamodb/refusals.h"

#include <optional>
#include <utility>

namespace colloquy::store::dynamodb {

Error error_of(std::string_view operation, const ServiceError& refusal) {
  std::string detail = std::string(operation) + ": " + refusal.what();
  switch (refusal.refusal()) {
    case Refusal::kInvalid:
    case Refusal::kConditionFailed:
      return internal_error(std::move(detail));
    default:
      return unavailable("The tables cannot be used right now.", std::move(detail));
  }
}

Task<Answer> checked_call(Client& client, std::string_view operation, std::string body,
                          CallOptions options) {
  try {
    co_return co_await client.call(operation, std::move(body), options);
  } catch (const ServiceError& refusal) {
    throw error_of(operation, refusal);
  }
}

Task<Answer> checked_call(Client& client, std::string_view operation, std::string body) {
  CallOptions usual;
  return checked_call(client, operation, std::move(body), usual);
}

Task<Conditional> conditional_call(Client& client, std::string_view operation, std::string body) {
  Conditional outcome;
  try {
    auto answer = co_await client.call(operation, std::move(body));
    outcome.done = true;
    auto* attributes = answer.body.if_contains("Attributes");
    if (attributes != nullptr && attributes->is_object()) {
      outcome.attributes = std::move(attributes->get_object());
    }
  } catch (const ServiceError& refusal) {
    if (refusal.refusal() != Refusal::kConditionFailed) throw error_of(operation, refusal);
    outcome.there = refusal.item();
    outcome.after_lost_answer = refusal.after_lost_answer();
  }
  co_return outcome;
}

}  // namespace colloquy::store::dynamodb
