#include "base/error.h"

namespace colloquy {

std::string_view error_code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::kMalformed:
      return "malformed";
    case ErrorCode::kUnauthenticated:
      return "unauthenticated";
    case ErrorCode::kNotFound:
      return "not_found";
    case ErrorCode::kTooSlow:
      return "too_slow";
    case ErrorCode::kConflict:
      return "conflict";
    case ErrorCode::kPreconditionFailed:
      return "precondition_failed";
    case ErrorCode::kTooLarge:
      return "too_large";
    case ErrorCode::kUnsupportedMedia:
      return "unsupported_media";
    case ErrorCode::kInvalid:
      return "invalid";
    case ErrorCode::kThrottled:
      return "throttled";
    case ErrorCode::kUnavailable:
      return "unavailable";
    case ErrorCode::kQuota:
      return "quota";
    case ErrorCode::kInternal:
      return "internal";
  }
  return "internal";
}

void Error::add_field(std::string field, std::string message) {
  fields_.push_back({std::move(field), std::move(message)});
}

Error&& Error::with_field(std::string field, std::string message) && {
  add_field(std::move(field), std::move(message));
  return std::move(*this);
}

Error&& Error::with_retry_after(int seconds) && {
  retry_after_s_ = seconds;
  return std::move(*this);
}

Error not_found() { return {ErrorCode::kNotFound, "There is nothing of yours at this address."}; }

Error invalid_field(std::string field, std::string message) {
  return Error(ErrorCode::kInvalid, "The request has an invalid field.")
      .with_field(std::move(field), std::move(message));
}

Error malformed(std::string message) { return {ErrorCode::kMalformed, std::move(message)}; }

Error unavailable(std::string message, std::string detail) {
  return Error(ErrorCode::kUnavailable, std::move(message), std::move(detail)).with_retry_after(1);
}

Error internal_error(std::string detail) {
  return {ErrorCode::kInternal, "Something went wrong on our side.", std::move(detail)};
}

}  // namespace colloquy
