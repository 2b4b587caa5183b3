#include "llm/openai/upstream_failure.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <ctime>

#include "base/text.h"

namespace colloquy::llm {
namespace {

constexpr int kRetryAfterMax = 24 * 60 * 60;

constexpr const char* kUnreachable = "The language model cannot be reached.";
constexpr const char* kMisconfigured = "The language model is not available.";
constexpr const char* kFailed = "The language model has failed.";

std::string words_of(const UpstreamMessage& message) {
  return ascii_lower(message.code + " " + message.type + " " + message.text);
}

bool mentions(const std::string& words, std::initializer_list<std::string_view> phrases) {
  return std::any_of(phrases.begin(), phrases.end(), [&](std::string_view phrase) {
    return words.find(phrase) != std::string::npos;
  });
}

// OpenAI, vLLM, llama.cpp and Ollama each say it in their own way.
bool says_context_too_long(const std::string& words) {
  return mentions(words,
                  {"context_length", "context length", "context size", "context window",
                   "maximum context", "too many tokens", "prompt is too long", "exceed_context"});
}

Error throttled(std::string detail, int retry_after_s) {
  Error error(ErrorCode::kThrottled, "The language model is busy; try again later.",
              std::move(detail));
  return retry_after_s > 0 ? std::move(error).with_retry_after(retry_after_s) : error;
}

Error too_long(std::string detail) {
  return Error(ErrorCode::kInvalid, "The conversation is too long for the language model.",
               std::move(detail))
      .with_field("prompt", "makes the conversation longer than the model's context");
}

}  // namespace

Error network_failure(const net::NetError& error) {
  switch (error.failure()) {
    case net::NetFailure::kClosed:
      return unavailable("The language model ended the connection.", error.what());
    case net::NetFailure::kMalformed:
    case net::NetFailure::kTooLarge:
      return garbled_failure(error.what());
    case net::NetFailure::kTimeout:
      return unavailable("The language model did not answer in time.", error.what());
    default:
      return unavailable(kUnreachable, error.what());
  }
}

Error status_failure(int status, const UpstreamMessage& message,
                     const std::optional<std::string>& retry_after) {
  const std::string words = words_of(message);
  std::string detail = "upstream answered " + std::to_string(status) + ": " + message.code + " " +
                       message.type + " " + message.text;
  const int wait_s = retry_after ? retry_after_seconds(*retry_after, std::time(nullptr)) : 0;
  if (status == 429) {
    // Not the caller's pace but the operator's account.
    if (mentions(words, {"insufficient_quota"})) return unavailable(kMisconfigured, detail);
    return throttled(std::move(detail), wait_s);
  }
  if (status == 413) return too_long(std::move(detail));
  if (status == 400 || status == 422) {
    if (says_context_too_long(words)) return too_long(std::move(detail));
    return Error(ErrorCode::kInvalid, "The language model refused the request.", std::move(detail))
        .with_field("prompt", "or what comes before it, or an option, was refused");
  }
  if (status < 500) return unavailable(kMisconfigured, std::move(detail));
  // llama.cpp and some proxies answer 500 to a prompt that does not fit.
  if (status == 500 && says_context_too_long(words)) return too_long(std::move(detail));
  Error error = unavailable(kFailed, std::move(detail));
  return wait_s > 0 ? std::move(error).with_retry_after(wait_s) : error;
}

Error stream_failure(const UpstreamMessage& message) {
  if (message.status != 0) return status_failure(message.status, message, std::nullopt);
  const std::string words = words_of(message);
  if (says_context_too_long(words)) return status_failure(400, message, std::nullopt);
  if (mentions(words, {"rate_limit", "rate limit", "too many requests"})) {
    return status_failure(429, message, std::nullopt);
  }
  return status_failure(500, message, std::nullopt);
}

Error cut_off_failure() {
  return unavailable("The language model's answer was cut off.",
                     "the stream ended without finish_reason and [DONE]");
}

Error garbled_failure(std::string_view detail) {
  return unavailable("The language model's answer could not be read.", std::string(detail));
}

Error timeout_failure(std::string_view waited_for) {
  return unavailable("The language model did not answer in time.",
                     "timed out waiting for " + std::string(waited_for));
}

bool refuses_stream_options(int status, const UpstreamMessage& message) {
  return (status == 400 || status == 422) && mentions(words_of(message), {"stream_options"});
}

int retry_after_seconds(std::string_view value, std::int64_t now_s) {
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  if (error == std::errc::result_out_of_range && value.front() != '-') return kRetryAfterMax;
  if (error != std::errc()) {
    std::tm date{};
    const std::string text(value);
    const char* const rest = strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &date);
    if (rest == nullptr || *rest != '\0') return 0;
    seconds = static_cast<std::int64_t>(timegm(&date)) - now_s;
  } else if (end != value.data() + value.size() && *end == '.') {
    ++seconds;  // some upstreams send a fraction
  }
  return static_cast<int>(std::clamp<std::int64_t>(seconds, 0, kRetryAfterMax));
}

Error without_secret(const Error& error, const std::string& secret) {
  if (secret.empty() || error.detail().find(secret) == std::string::npos) return error;
  std::string detail = error.detail();
  for (auto at = detail.find(secret); at != std::string::npos; at = detail.find(secret, at)) {
    detail.replace(at, secret.size(), "***");
  }
  Error clean(error.code(), error.message(), std::move(detail));
  return error.retry_after_s() > 0 ? std::move(clean).with_retry_after(error.retry_after_s())
                                   : clean;
}

}  // namespace colloquy::llm
