// The whole API: the routes of every resource, and what stands around them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/services.h"
#include "http/router.h"
#include "http/server.h"

namespace colloquy::api {

struct ApiOptions {
  std::vector<std::string> cors_origins;
  std::size_t gzip_min_bytes = 4096;  // 0: never
};

// Built once at start; its handlers are then called from every event loop.
class Api {
 public:
  Api(Services services, ApiOptions options);

  // They never throw, and live as long as the Api.
  const http::Handler& public_handler() const { return public_; }
  const http::Handler& admin_handler() const { return admin_; }
  // Whose bodies are read by the handler of public_handler(); for http::ServerOptions.
  std::optional<std::uint64_t> streamed_body_bytes(const http::Request& request) const {
    return public_router_.streamed_body_bytes(request);
  }
  // What a connection answers when a request cannot even be read.
  http::EarlyReply early_reply();

 private:
  http::Handler with_middleware(const http::Router& router, bool browsers, ApiOptions options);

  Services services_;
  http::Router public_router_;
  http::Router admin_router_;
  http::Handler public_;
  http::Handler admin_;
};

}  // namespace colloquy::api
