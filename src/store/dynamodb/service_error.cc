#include "store/dynamodb/service_error.h"

#include <array>
#include <boost/json/parse.hpp>
#include <utility>

namespace colloquy::store::dynamodb {
namespace {

constexpr std::size_t kMessageBytes = 300;

constexpr std::pair<std::string_view, Refusal> kTypes[] = {
    {"ConditionalCheckFailedException", Refusal::kConditionFailed},
    {"ProvisionedThroughputExceededException", Refusal::kThrottled},
    {"ThrottlingException", Refusal::kThrottled},
    {"Throttling", Refusal::kThrottled},
    {"RequestLimitExceeded", Refusal::kThrottled},
    {"LimitExceededException", Refusal::kInUse},
    {"TransactionInProgressException", Refusal::kThrottled},
    {"TransactionConflictException", Refusal::kThrottled},
    {"ReplicatedWriteConflictException", Refusal::kThrottled},
    {"InternalServerError", Refusal::kServer},
    {"InternalServerErrorException", Refusal::kServer},
    {"ServiceUnavailable", Refusal::kServer},
    {"ServiceUnavailableException", Refusal::kServer},
    {"ExpiredTokenException", Refusal::kExpiredToken},
    {"UnrecognizedClientException", Refusal::kExpiredToken},
    {"InvalidClientTokenId", Refusal::kExpiredToken},
    {"RequestTimeTooSkewed", Refusal::kClockSkew},
    {"RequestExpired", Refusal::kClockSkew},
    {"RequestInTheFuture", Refusal::kClockSkew},
    {"ResourceNotFoundException", Refusal::kNoSuchTable},
    {"TableNotFoundException", Refusal::kNoSuchTable},
    {"ResourceInUseException", Refusal::kInUse},
    {"ContinuousBackupsUnavailableException", Refusal::kInUse},
    {"UnknownOperationException", Refusal::kUnknownOperation},
    {"AccessDeniedException", Refusal::kDenied},
    {"AccessDenied", Refusal::kDenied},
    {"MissingAuthenticationTokenException", Refusal::kDenied},
};

Refusal refusal_of(int status, std::string_view type, std::string_view message) {
  for (const auto& [name, refusal] : kTypes) {
    if (type == name) return refusal;
  }
  // The service tells a wrong clock and a wrong key by the same type.
  if (type == "InvalidSignatureException" || type == "SignatureDoesNotMatch") {
    bool skewed = message.find("Signature expired") != std::string_view::npos ||
                  message.find("Signature not yet current") != std::string_view::npos;
    return skewed ? Refusal::kClockSkew : Refusal::kDenied;
  }
  if (status == 429) return Refusal::kThrottled;
  if (status >= 500) return Refusal::kServer;
  if (status == 401 || status == 403) return Refusal::kDenied;
  return Refusal::kInvalid;
}

std::string text_of(const boost::json::object& object,
                    std::initializer_list<std::string_view> names) {
  for (auto name : names) {
    const auto* value = object.if_contains(name);
    if (value != nullptr && value->is_string()) return std::string(value->get_string());
  }
  return {};
}

// Why a transaction was not carried out: one of these for each of its writes.
Refusal refusal_of_transaction(const boost::json::object& object) {
  const auto* reasons = object.if_contains("CancellationReasons");
  auto refusal = Refusal::kInvalid;
  if (reasons == nullptr || !reasons->is_array()) return refusal;
  for (const auto& reason : reasons->get_array()) {
    if (!reason.is_object()) continue;
    auto code = text_of(reason.get_object(), {"Code"});
    if (code == "ConditionalCheckFailed") return Refusal::kConditionFailed;
    bool passing = code == "TransactionConflict" || code == "ThrottlingError" ||
                   code == "ProvisionedThroughputExceeded";
    if (passing) refusal = Refusal::kThrottled;
  }
  return refusal;
}

}  // namespace

ServiceError parse_service_error(int status, std::string_view body) {
  boost::system::error_code ignored;
  auto value = boost::json::parse(body, ignored);
  boost::json::object object;
  if (!ignored && value.is_object()) object = std::move(value.get_object());
  auto type = text_of(object, {"__type", "code"});
  if (auto hash = type.rfind('#'); hash != std::string::npos) type.erase(0, hash + 1);
  if (auto colon = type.find(':'); colon != std::string::npos) type.resize(colon);
  auto message = text_of(object, {"message", "Message"});
  auto refusal = refusal_of(status, type, message);
  if (type == "TransactionCanceledException") refusal = refusal_of_transaction(object);
  if (message.size() > kMessageBytes) message.resize(kMessageBytes);
  if (type.empty()) type = "status " + std::to_string(status);
  ServiceError error(refusal, std::move(type), std::move(message));
  if (auto* item = object.if_contains("Item"); item != nullptr && item->is_object()) {
    error.set_item(std::move(item->get_object()));
  }
  return error;
}

}  // namespace colloquy::store::dynamodb
