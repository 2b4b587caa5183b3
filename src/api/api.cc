#include "api/api.h"

#include <utility>

#include "api/error_reply.h"
#include "api/middleware.h"
#include "http/middleware.h"
#include "telemetry/log.h"

namespace colloquy::api {

Api::Api(Services services, ApiOptions options) : services_(std::move(services)) {
  add_conversation_routes(public_router_, services_);
  add_message_routes(public_router_, services_);
  add_generate_routes(public_router_, services_);
  add_regenerate_routes(public_router_, services_);
  add_generation_routes(public_router_, services_);
  add_cluster_routes(public_router_, services_);
  add_context_routes(public_router_, services_);
  add_event_routes(public_router_, services_);
  add_search_routes(public_router_, services_);
  add_file_routes(public_router_, services_);
  add_export_routes(public_router_, services_);
  add_erase_routes(public_router_, services_);
  add_import_routes(public_router_, services_);
  add_health_routes(public_router_, services_);
  add_health_routes(admin_router_, services_);
  add_metrics_routes(admin_router_, services_);
  add_search_admin_routes(admin_router_, services_);
  add_erase_admin_routes(admin_router_, services_);
  public_ = with_middleware(public_router_, true, options);
  admin_ = with_middleware(admin_router_, false, options);
}

http::Handler Api::with_middleware(const http::Router& router, bool browsers, ApiOptions options) {
  // What a request passes on its way in, the outermost first; on the way out the other way round.
  std::vector<http::Middleware> list;
  // Gives the request its id, times and logs it.
  list.push_back(observe(services_));
  // Answers a browser's preflight before a token is asked for, and marks errors too, so that a page
  // can read them.
  if (browsers && !options.cors_origins.empty()) list.push_back(http::cors({options.cors_origins}));
  // Compresses what comes out of a handler; inside of cors, since both set Vary.
  if (options.gzip_min_bytes > 0) list.push_back(http::gzip(options.gzip_min_bytes));
  // Innermost: finds the route, then asks who is asking, then whether they may go on at this rate.
  return http::chain(std::move(list), dispatch(services_, router));
}

http::EarlyReply Api::early_reply() {
  return [this](int status, std::string_view reason) {
    auto id = services_.ids.next(services_.clock.now_ms()).to_string();
    services_.metrics
        .counter("colloquy_http_unreadable_requests_total",
                 "Requests answered before they could be read.",
                 {{"status", std::to_string(status)}})
        .Increment();
    telemetry::log_info("request.unreadable",
                        {{"request_id", id}, {"status", status}, {"reason", reason}});
    auto response = status_reply(status, reason, id);
    response.set_header("X-Request-Id", id);
    return response;
  };
}

}  // namespace colloquy::api
