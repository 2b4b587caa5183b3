// Calls of the DynamoDB API (JSON 1.0 over HTTP): signed, checked, repeated where that is safe and
// may help, and measured. Thread-safe; each call runs on the event loop that awaits it.
#pragma once

#include <atomic>
#include <boost/json/object.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/boot_clock.h"
#include "base/clock.h"
#include "base/task.h"
#include "net/http_client.h"
#include "store/dynamodb/aws/caching_credentials.h"
#include "store/dynamodb/aws/signer.h"
#include "store/dynamodb/call_metrics.h"
#include "store/dynamodb/retry_policy.h"
#include "store/dynamodb/service_error.h"
#include "telemetry/metrics.h"

namespace colloquy::store::dynamodb {

struct ClientOptions {
  std::string endpoint;  // URL of the service, such as http://127.0.0.1:8000
  std::string region;    // that signatures name
  std::chrono::milliseconds connect_timeout{2'000};
  std::chrono::milliseconds attempt_timeout{5'000};  // until the answer begins, and between parts
  std::chrono::milliseconds call_timeout{20'000};    // no repeat begins after it
  RetryOptions retries;
};

enum class Repeat {
  kSafe,         // doing it twice is doing it once, or the caller can tell
  kIfNotCarried  // only when it is certain that the service did nothing
};

struct CallOptions {
  Repeat repeat = Repeat::kSafe;
  std::optional<std::chrono::milliseconds> timeout;  // in place of the client's call_timeout
  bool after_last_write = false;                     // write_until() is not for it
};

struct Answer {
  boost::json::object body;
  bool after_lost_answer = false;  // an attempt before may have been carried out too
};

class Client {
 public:
  // What is referred to outlives it. Throws Error(kInvalid) when the endpoint is no URL.
  Client(ClientOptions options, net::HttpClient& http,
         std::shared_ptr<aws::CachingCredentials> credentials, const Clock& clock,
         telemetry::Metrics& metrics);

  // `operation` such as "GetItem"; `body` is its JSON. Throws ServiceError for what repeating
  // cannot change, and Error(kUnavailable) when the service is out, throttles for too long, or
  // refuses the credentials.
  Task<Answer> call(std::string_view operation, std::string body, Repeat repeat = Repeat::kSafe);
  Task<Answer> call(std::string_view operation, std::string body, CallOptions options);

  // No attempt at a write of items begins after that time, but fails as where the service is out,
  // whatever the caller began before; at first there is no such time.
  void write_until(BootClock::time_point time) { write_until_ = time; }

  const std::string& endpoint() const { return options_.endpoint; }

 private:
  Task<Answer> call_until(std::string_view operation, std::string body, CallOptions options,
                          std::chrono::steady_clock::time_point give_up);
  void require_time_to_write(std::string_view operation) const;
  Task<net::HttpResponse> send(std::string_view operation, const std::string& body);
  Task<boost::json::object> attempt(std::string_view operation, const std::string& body);
  void correct_clock(const net::HttpResponse& response);

  const ClientOptions options_;
  const std::string host_;
  net::HttpClient& http_;
  std::shared_ptr<aws::CachingCredentials> credentials_;
  const Clock& clock_;
  CallMetrics metrics_;
  RetryPolicy retries_;
  aws::SigningKeys signing_keys_;
  std::atomic<std::int64_t> clock_offset_ms_{0};  // the service's clock less ours
  std::atomic<BootClock::time_point> write_until_{BootClock::time_point::max()};
};

}  // namespace colloquy::store::dynamodb
