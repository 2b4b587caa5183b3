// What stands around every resource of the API.
#pragma once

#include "api/services.h"
#include "http/middleware.h"
#include "http/router.h"

namespace colloquy::api {

// Request id (X-Request-Id, taken from the client where it is sane), one log line and the metrics
// of each request. Nothing thrown passes it.
http::Middleware observe(Services& services);

// Route, token, rate limit, handler; errors become replies here, so that all around sees a reply.
http::Handler dispatch(Services& services, const http::Router& router);

}  // namespace colloquy::api
