// GET /health, /health/live, /health/ready, for load balancers and people; GET /metrics, for
// operators.
#include <utility>

#include "api/request_fields.h"
#include "api/services.h"
#include "base/json_writer.h"

namespace colloquy::api {
namespace {

http::Response health_reply(const Services& services, const std::string& problem) {
  std::string body;
  JsonWriter json(body);
  json.begin_object().key("status").string(problem.empty() ? "healthy" : "unhealthy");
  json.key("version").string(services.version);
  if (!problem.empty()) json.key("reason").string(problem);
  json.end_object();
  auto response = json_reply(problem.empty() ? 200 : 503, std::move(body));
  if (!problem.empty()) response.set_header("Retry-After", "1");
  return response;
}

// Alive: the event loop that answers this turns.
Task<http::Response> live(Services& services, http::Request&) {
  co_return health_reply(services, "");
}

// Ready: writes would be taken.
Task<http::Response> ready(Services& services, http::Request&) {
  co_return health_reply(services, services.store.not_ready_reason());
}

Task<http::Response> metrics(Services& services, http::Request&) {
  http::Response response;
  response.set_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  response.body = services.metrics.render();
  co_return response;
}

void add_open(http::Router& router, Services& services, const char* path,
              Task<http::Response> (*handler)(Services&, http::Request&)) {
  router.add({http::Method::kGet, path, true,
              [&services, handler](http::Request& request) { return handler(services, request); }});
}

}  // namespace

void add_health_routes(http::Router& router, Services& services) {
  add_open(router, services, "/health", live);
  add_open(router, services, "/health/live", live);
  add_open(router, services, "/health/ready", ready);
}

void add_metrics_routes(http::Router& router, Services& services) {
  add_open(router, services, "/metrics", metrics);
}

}  // namespace colloquy::api
