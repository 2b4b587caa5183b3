#include <algorithm>
#include <memory>
#include <utility>

#include "http/header_values.h"
#include "http/middleware.h"

namespace colloquy::http {

namespace {

constexpr const char* kMethods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
constexpr const char* kRequestHeaders =
    "Authorization, Content-Type, Content-Digest, Idempotency-Key, If-Match, If-Modified-Since, "
    "If-None-Match, If-Range, If-Unmodified-Since, Last-Event-ID, Range, X-Request-Id, Accept, "
    "traceparent, tracestate";
constexpr const char* kResponseHeaders =
    "Accept-Ranges, Content-Disposition, Content-Length, Content-Range, ETag, Last-Modified, "
    "Location, Link, X-Request-Id, Retry-After, RateLimit, RateLimit-Policy";
constexpr const char* kMaxAgeSeconds = "600";

struct Policy {
  std::vector<std::string> origins;
  bool any = false;

  bool allows(std::string_view origin) const {
    return any || std::find(origins.begin(), origins.end(), origin) != origins.end();
  }
};

// Tokens travel in a header, so credentials mode is never allowed: neither for "*", where it would
// be forbidden, nor elsewhere.
void mark(Response& response, const Policy& policy, const std::optional<std::string_view>& origin) {
  if (!policy.any) add_vary(response, "Origin");
  if (!origin || !policy.allows(*origin)) return;
  response.set_header("Access-Control-Allow-Origin", policy.any ? "*" : std::string(*origin));
}

Response preflight(const Policy& policy, std::string_view origin) {
  Response response;
  response.status = 204;
  mark(response, policy, origin);
  add_vary(response, "Access-Control-Request-Method");
  add_vary(response, "Access-Control-Request-Headers");
  if (!policy.allows(origin)) return response;
  response.set_header("Access-Control-Allow-Methods", kMethods);
  response.set_header("Access-Control-Allow-Headers", kRequestHeaders);
  response.set_header("Access-Control-Max-Age", kMaxAgeSeconds);
  return response;
}

Task<Response> apply(std::shared_ptr<const Policy> policy, Request& request, const Handler& next) {
  // The handler may use the request up.
  std::optional<std::string> origin;
  if (const auto sent = request.header("Origin")) origin = std::string(*sent);
  if (request.method == Method::kOptions && origin &&
      request.header("Access-Control-Request-Method")) {
    co_return preflight(*policy, *origin);
  }
  Response response = co_await next(request);
  mark(response, *policy, origin);
  if (origin && policy->allows(*origin)) {
    response.set_header("Access-Control-Expose-Headers", kResponseHeaders);
  }
  co_return response;
}

}  // namespace

Middleware cors(CorsOptions options) {
  Policy policy;
  policy.any =
      std::find(options.origins.begin(), options.origins.end(), "*") != options.origins.end();
  policy.origins = std::move(options.origins);
  return [policy = std::make_shared<const Policy>(std::move(policy))](
             Request& request, const Handler& next) { return apply(policy, request, next); };
}

}  // namespace colloquy::http
