#include "store/dynamodb/client.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <boost/json/parse.hpp>
#include <charconv>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/http_date.h"
#include "base/pause.h"
#include "base/text.h"
#include "net/url.h"
#include "telemetry/log.h"

namespace colloquy::store::dynamodb {
namespace {

using std::chrono::steady_clock;

constexpr std::array<std::string_view, 5> kWrites{"PutItem", "UpdateItem", "DeleteItem",
                                                  "BatchWriteItem", "TransactWriteItems"};
constexpr const char* kTargetPrefix = "DynamoDB_20120810.";
// A page of a query is at most 1 MiB and a batch 16 MiB, in which JSON may double each byte.
constexpr std::size_t kAnswerBytes = std::size_t{64} << 20;
// A clock that is further off than this is corrected.
constexpr std::int64_t kSkewToleratedMs = 60'000;

std::string host_of(const std::string& endpoint) {
  auto url = net::parse_url(endpoint);
  if (!url || !url->user_info.empty() || url->target != "/") {
    throw Error(ErrorCode::kInvalid, "the endpoint of the tables is not an http or https URL");
  }
  return url->authority();
}

const std::string* find_header(const net::HttpResponse& response, std::string_view name) {
  for (const auto& field : response.headers) {
    if (equals_ignoring_case(field.name, name)) return &field.value;
  }
  return nullptr;
}

// The service says what its body must add up to.
bool checksum_holds(const net::HttpResponse& response) {
  const auto* header = find_header(response, "x-amz-crc32");
  if (header == nullptr) return true;
  std::uint32_t expected = 0;
  auto [end, error] = std::from_chars(header->data(), header->data() + header->size(), expected);
  if (error != std::errc() || end != header->data() + header->size()) return false;
  auto bytes = reinterpret_cast<const Bytef*>(response.body.data());
  return crc32(0, bytes, static_cast<uInt>(response.body.size())) == expected;
}

// Why an attempt failed, and what that means for another.
struct Failure {
  std::string_view reason;   // for the metrics
  std::string detail;        // for the log
  bool carried_out = false;  // it may have been
  bool timeout = false;
};

Failure failure_of(const net::NetError& error) {
  using net::NetFailure;
  switch (error.failure()) {
    case NetFailure::kResolve:
    case NetFailure::kConnect:
    case NetFailure::kTls:
      return {"connect", error.what()};
    case NetFailure::kTimeout:
      return {"timeout", error.what(), true, true};
    case NetFailure::kClosed:
      return {"closed", error.what(), true};
    default:
      return {"garbled", error.what(), true};
  }
}

std::optional<Failure> passing_failure(const ServiceError& error) {
  switch (error.refusal()) {
    case Refusal::kThrottled:
      return Failure{"throttled", error.what()};
    case Refusal::kServer:
      return Failure{"server", error.what(), true};
    case Refusal::kExpiredToken:
      return Failure{"credentials", error.what()};
    case Refusal::kClockSkew:
      return Failure{"clock", error.what()};
    default:
      return std::nullopt;
  }
}

// A body that is not what the service said it is.
class GarbledAnswer final : public std::exception {};

}  // namespace

Client::Client(ClientOptions options, net::HttpClient& http,
               std::shared_ptr<aws::CachingCredentials> credentials, const Clock& clock,
               telemetry::Metrics& metrics)
    : options_(std::move(options)),
      host_(host_of(options_.endpoint)),
      http_(http),
      credentials_(std::move(credentials)),
      clock_(clock),
      metrics_(metrics),
      retries_(options_.retries, std::random_device{}()) {}

Task<net::HttpResponse> Client::send(std::string_view operation, const std::string& body) {
  auto credentials = co_await credentials_->current();
  net::HttpRequest request;
  request.method = "POST";
  request.url = options_.endpoint;
  request.headers.push_back({"Content-Type", "application/x-amz-json-1.0"});
  request.headers.push_back({"X-Amz-Target", kTargetPrefix + std::string(operation)});
  aws::SigningRequest signing;
  signing.method = request.method;
  signing.host = host_;
  signing.headers = &request.headers;
  signing.body = body;
  aws::SigningScope scope{options_.region, "dynamodb"};
  auto fields = aws::sign(signing, *credentials, scope, clock_.now_ms() + clock_offset_ms_.load(),
                          signing_keys_);
  for (auto& field : fields) request.headers.push_back(std::move(field));
  request.headers.push_back({"Host", host_});
  request.body = body;
  request.deadlines = {options_.connect_timeout, options_.attempt_timeout,
                       options_.attempt_timeout};
  // Whoever called must know that it may have been carried out twice.
  request.resend_when_closed = false;
  auto response = co_await http_.fetch(std::move(request), kAnswerBytes);
  if (response.status >= 400) {
    auto error = parse_service_error(response.status, response.body);
    if (error.refusal() == Refusal::kExpiredToken) credentials_->reject(credentials->access_key_id);
    if (error.refusal() == Refusal::kClockSkew) correct_clock(response);
    throw error;
  }
  co_return response;
}

Task<boost::json::object> Client::attempt(std::string_view operation, const std::string& body) {
  auto response = co_await send(operation, body);
  if (response.status != 200 || !checksum_holds(response)) throw GarbledAnswer();
  // The only call of ours whose success has no body.
  if (operation == "TagResource" && response.body.empty()) co_return boost::json::object();
  boost::system::error_code failed;
  auto value = boost::json::parse(response.body, failed);
  if (failed || !value.is_object()) throw GarbledAnswer();
  co_return std::move(value.get_object());
}

// The signature's time is checked by the service's clock: believe that one.
void Client::correct_clock(const net::HttpResponse& response) {
  const auto* date = find_header(response, "Date");
  if (date == nullptr) return;
  auto service_s = parse_http_date(*date);
  if (!service_s) return;
  auto offset = *service_s * 1000 - clock_.now_ms();
  if (std::abs(offset) < kSkewToleratedMs) offset = 0;
  if (clock_offset_ms_.exchange(offset) != offset) {
    telemetry::log_warning("dynamodb.clock_corrected", {{"offset_ms", offset}});
  }
}

void Client::require_time_to_write(std::string_view operation) const {
  if (BootClock::now() <= write_until_.load()) return;
  bool writes = std::find(kWrites.begin(), kWrites.end(), operation) != kWrites.end();
  if (!writes) return;
  throw unavailable(
      "The tables cannot be reached right now.",
      std::string(operation) + ": the other servers may not count on this one any more")
      .with_retry_after(2);
}

Task<Answer> Client::call(std::string_view operation, std::string body, Repeat repeat) {
  CallOptions options;
  options.repeat = repeat;
  return call(operation, std::move(body), options);
}

Task<Answer> Client::call(std::string_view operation, std::string body, CallOptions options) {
  auto timeout = options.timeout.value_or(options_.call_timeout);
  return call_until(operation, std::move(body), options, steady_clock::now() + timeout);
}

Task<Answer> Client::call_until(std::string_view operation, std::string body, CallOptions options,
                                steady_clock::time_point give_up) {
  bool lost_answer = false;
  for (int number = 1;; ++number) {
    if (!options.after_last_write) require_time_to_write(operation);
    auto begin = steady_clock::now();
    Failure failure;
    std::optional<ServiceError> refused;
    try {
      Answer answer;
      answer.body = co_await attempt(operation, body);
      answer.after_lost_answer = lost_answer;
      std::chrono::duration<double> took = steady_clock::now() - begin;
      metrics_.attempted(operation, "ok", took.count());
      metrics_.consumed(operation, answer.body);
      if (number == 1) retries_.reward();
      co_return answer;
    } catch (const ServiceError& error) {
      auto passing = passing_failure(error);
      failure = passing.value_or(Failure{"refused", error.what()});
      if (!passing) refused.emplace(error).set_after_lost_answer(lost_answer);
    } catch (const net::NetError& error) {
      failure = failure_of(error);
    } catch (const GarbledAnswer&) {
      failure = {"garbled", "the answer is not what its checksum says", true};
    }
    std::chrono::duration<double> took = steady_clock::now() - begin;
    metrics_.attempted(operation, failure.reason, took.count());
    if (refused) throw std::move(*refused);
    lost_answer = lost_answer || failure.carried_out;
    bool allowed = options.repeat == Repeat::kSafe || !failure.carried_out;
    auto delay = retries_.delay_before(number + 1);
    bool in_time = steady_clock::now() + delay < give_up;
    if (!allowed || !in_time || !retries_.may_repeat(number + 1, failure.timeout)) {
      throw unavailable("The tables cannot be reached right now.",
                        std::string(operation) + ": " + failure.detail)
          .with_retry_after(2);
    }
    metrics_.repeated(operation, failure.reason);
    co_await pause(delay);
  }
}

}  // namespace colloquy::store::dynamodb
