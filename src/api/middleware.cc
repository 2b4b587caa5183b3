#include "api/middleware.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "api/error_reply.h"
#include "base/error.h"
#include "base/text.h"
#include "base/trace_context.h"
#include "telemetry/log.h"

namespace colloquy::api {
namespace {

using std::chrono::steady_clock;

constexpr std::size_t kRequestIdBytes = 128;

// A client's own id is kept where it can do no harm in a log.
bool sane_request_id(std::string_view id) {
  return !id.empty() && id.size() <= kRequestIdBytes &&
         std::all_of(id.begin(), id.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_' || c == '.' || c == ':';
         });
}

// Counters of one route, method and status, looked up by string once and then by key.
class RequestMetrics {
 public:
  explicit RequestMetrics(telemetry::Metrics& metrics) : metrics_(metrics) {}

  void observe(std::string_view route, http::Method method, int status, double seconds) {
    auto& found = find(route, method, status);
    found.count->Increment();
    found.latency->Observe(seconds);
  }

 private:
  struct Instruments {
    telemetry::Counter* count = nullptr;
    telemetry::Histogram* latency = nullptr;
  };
  // Routes are literals of the router's, so their address tells them apart.
  struct Key {
    const char* route;
    http::Method method;
    int status;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const {
      return std::hash<const char*>{}(key.route) ^ (static_cast<std::size_t>(key.method) << 1) ^
             (static_cast<std::size_t>(key.status) << 4);
    }
  };

  Instruments& find(std::string_view route, http::Method method, int status) {
    std::scoped_lock lock(mutex_);
    auto& found = known_[Key{route.data(), method, status}];
    if (found.count == nullptr) {
      telemetry::Labels labels{{"route", route.empty() ? "none" : std::string(route)},
                               {"method", std::string(http::method_name(method))}};
      found.latency = &metrics_.histogram("colloquy_http_request_seconds",
                                          "From the end of a request to the end of its response.",
                                          telemetry::latency_buckets(), labels);
      labels["status"] = std::to_string(status);
      found.count = &metrics_.counter("colloquy_http_requests_total", "Requests answered.", labels);
    }
    return found;
  }

  telemetry::Metrics& metrics_;
  std::mutex mutex_;
  std::unordered_map<Key, Instruments, KeyHash> known_;  // guarded by mutex_
};

// What is known of a request by the time its response is out.
struct Record {
  std::string request_id;
  TraceContext trace;
  std::string_view route;
  http::Method method = http::Method::kOther;
  std::string user;
  int status = 0;
  std::string detail;
  steady_clock::time_point start = steady_clock::now();
};

// A user's own limit is no fault of the server's. What has a detail wants an operator: a volume
// without room.
telemetry::LogLevel level_of(const Record& record) {
  using telemetry::LogLevel;
  if (record.status == 507) return record.detail.empty() ? LogLevel::kInfo : LogLevel::kWarning;
  return record.status >= 500 ? LogLevel::kError : LogLevel::kInfo;
}

void finish(RequestMetrics& metrics, const Record& record, bool cut_off) {
  double seconds = std::chrono::duration<double>(steady_clock::now() - record.start).count();
  metrics.observe(record.route, record.method, record.status, seconds);
  auto level = level_of(record);
  if (!telemetry::log_enabled(level)) return;
  std::string_view route = record.route.empty() ? "none" : record.route;
  auto method = http::method_name(record.method);
  double milliseconds = std::round(seconds * 1e6) / 1e3;
  if (record.detail.empty() && !cut_off) {
    telemetry::log(level, "request",
                   {{"request_id", record.request_id},
                    {"trace_id", record.trace.trace_id},
                    {"span_id", record.trace.span_id},
                    {"method", method},
                    {"route", route},
                    {"status", record.status},
                    {"duration_ms", milliseconds},
                    {"user_id", record.user}});
  } else {
    telemetry::log(level, "request",
                   {{"request_id", record.request_id},
                    {"trace_id", record.trace.trace_id},
                    {"span_id", record.trace.span_id},
                    {"method", method},
                    {"route", route},
                    {"status", record.status},
                    {"duration_ms", milliseconds},
                    {"user_id", record.user},
                    {"cut_off", cut_off},
                    {"detail", record.detail}});
  }
}

using Stream = std::function<Task<>(http::BodyWriter&)>;

// A streamed response is counted and logged when its stream has ended, however it has.
Task<> observed_stream(std::shared_ptr<RequestMetrics> metrics, std::shared_ptr<Record> record,
                       std::shared_ptr<Stream> stream, http::BodyWriter& writer) {
  struct Finish {
    RequestMetrics& metrics;
    Record& record;
    bool whole = false;
    ~Finish() { finish(metrics, record, !whole); }
  } at_end{*metrics, *record};
  try {
    co_await (*stream)(writer);
    at_end.whole = true;
  } catch (const Error& error) {
    record->detail = error.message() + " " + error.detail();
    throw;
  }
}

Task<http::Response> answer(http::Request& request, const http::Handler& next) {
  std::string failure;
  try {
    co_return co_await next(request);
  } catch (const Error& error) {
    co_return error_reply(error, request.request_id);
  } catch (const http::BodyFailure& error) {
    co_return status_reply(error.status(), error.reason(), request.request_id);
  } catch (const std::exception& error) {
    failure = error.what();
  } catch (...) {
    failure = "something that is no std::exception";
  }
  co_return error_reply(internal_error(failure), request.request_id);
}

// W3C Trace Context. A `traceparent` that came twice is none; fields of `tracestate` are one list.
TraceContext trace_of(const http::Request& request) {
  std::string_view parent;
  if (http::count_headers(request.headers, "traceparent") == 1) {
    parent = request.header("traceparent").value_or("");
  }
  std::string state;
  for (const auto& header : request.headers) {
    if (!equals_ignoring_case(header.name, "tracestate")) continue;
    state += (state.empty() ? "" : ",") + header.value;
  }
  return continue_trace(parent, state);
}

Task<http::Response> observe_request(Services& services, std::shared_ptr<RequestMetrics> metrics,
                                     http::Request& request, const http::Handler& next) {
  Record record;
  auto sent_id = request.header("X-Request-Id");
  if (sent_id && sane_request_id(*sent_id)) {
    request.request_id = *sent_id;
  } else {
    request.request_id = services.ids.next(services.clock.now_ms()).to_string();
  }
  request.trace = trace_of(request);
  auto response = co_await answer(request, next);
  response.set_header("X-Request-Id", request.request_id);
  record.request_id = request.request_id;
  record.trace = request.trace;
  record.route = request.route;
  record.method = request.method;
  record.user = request.user.value();
  record.status = response.status;
  record.detail = response.log_detail;
  bool streams = static_cast<bool>(response.stream) && request.method != http::Method::kHead;
  if (!streams) {
    finish(*metrics, record, false);
    co_return response;
  }
  auto kept = std::make_shared<Record>(std::move(record));
  auto stream = std::make_shared<Stream>(std::move(response.stream));
  response.stream = [metrics, kept, stream](http::BodyWriter& writer) {
    return observed_stream(metrics, kept, stream, writer);
  };
  co_return response;
}

// draft-ietf-httpapi-ratelimit-headers.
void set_rate_limit_headers(http::Response& response, std::size_t per_minute,
                            const RateLimiter::Verdict& verdict) {
  response.set_header("RateLimit-Policy", "\"requests\";q=" + std::to_string(per_minute) + ";w=60");
  response.set_header("RateLimit", "\"requests\";r=" + std::to_string(verdict.remaining) +
                                       ";t=" + std::to_string(verdict.reset_s));
}

http::Response too_many_requests(const http::Request& request,
                                 const RateLimiter::Verdict& verdict) {
  auto error = Error(ErrorCode::kThrottled, "You have sent too many requests this minute.")
                   .with_retry_after(static_cast<int>(verdict.reset_s));
  return error_reply(error, request.request_id);
}

// The token of `Authorization: Bearer TOKEN` (RFC 6750); the scheme's name has no case.
std::string bearer_token(const http::Request& request) {
  auto header = request.header("Authorization");
  // Of two, a proxy before us may have looked at the other.
  if (header && http::count_headers(request.headers, "Authorization") > 1) {
    throw Error(ErrorCode::kUnauthenticated, "Send one Authorization header.");
  }
  constexpr std::string_view kScheme = "bearer ";
  bool bearer = header && header->size() > kScheme.size() &&
                equals_ignoring_case(header->substr(0, kScheme.size()), kScheme);
  if (!bearer) {
    throw Error(ErrorCode::kUnauthenticated, "Send a token: Authorization: Bearer TOKEN.");
  }
  auto token = header->substr(kScheme.size());
  token.remove_prefix(std::min(token.find_first_not_of(' '), token.size()));
  return std::string(token);
}

http::Response no_route(const http::Router::Match& match, const http::Request& request) {
  if (match.outcome == http::Router::Outcome::kNoPath) {
    return status_reply(404, "There is nothing at this address.", request.request_id);
  }
  if (request.method == http::Method::kOptions) {
    http::Response response;
    response.status = 204;
    response.set_header("Allow", match.allow);
    return response;
  }
  auto response = status_reply(405, "This address does not take this method.", request.request_id);
  response.set_header("Allow", match.allow);
  return response;
}

bool writes(const http::Route& route, const http::Request& request) {
  switch (request.method) {
    case http::Method::kGet:
    case http::Method::kHead:
    case http::Method::kOptions:
      return false;
    default:
      // Erasing a user who is being erased is no write of theirs.
      return route.path_template != "/me";
  }
}

Task<http::Response> handle(Services& services, const http::Route& route, http::Request& request) {
  if (services.gate == nullptr || !writes(route, request))
    co_return co_await route.handler(request);
  const auto pass = services.gate->enter(request.user);
  co_return co_await route.handler(request);
}

Task<http::Response> dispatch_request(Services& services, const http::Router& router,
                                      http::Request& request) {
  auto match = router.match(request);
  if (match.outcome != http::Router::Outcome::kFound) co_return no_route(match, request);
  if (match.route->open) co_return co_await match.route->handler(request);
  auto identity = co_await services.authenticator.authenticate(bearer_token(request));
  request.user = std::move(identity.user_id);
  auto verdict = services.requests.take(request.user, 1);
  if (!verdict) co_return co_await handle(services, *match.route, request);
  auto response = verdict->allowed ? http::Response() : too_many_requests(request, *verdict);
  const http::Handler handler = [&services, &match](http::Request& admitted) {
    return handle(services, *match.route, admitted);
  };
  if (verdict->allowed) response = co_await answer(request, handler);
  set_rate_limit_headers(response, services.requests.per_minute(), *verdict);
  co_return response;
}

}  // namespace

http::Middleware observe(Services& services) {
  auto metrics = std::make_shared<RequestMetrics>(services.metrics);
  return [&services, metrics](http::Request& request, const http::Handler& next) {
    return observe_request(services, metrics, request, next);
  };
}

http::Handler dispatch(Services& services, const http::Router& router) {
  http::Handler found = [&services, &router](http::Request& request) {
    return dispatch_request(services, router, request);
  };
  return [found](http::Request& request) { return answer(request, found); };
}

}  // namespace colloquy::api
