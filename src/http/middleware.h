// What stands around every handler, as one ordered list.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/task.h"
#include "http/message.h"
#include "http/router.h"

namespace colloquy::http {

// Answers the request, or calls `next` and may change what comes back.
using Middleware = std::function<Task<Response>(Request&, const Handler& next)>;

// The first of the list is the outermost.
Handler chain(std::vector<Middleware> middleware, Handler innermost);

struct CorsOptions {
  std::vector<std::string> origins;  // exact origins, or "*"
};
// Answers preflights and marks responses for the allowed origins (Fetch standard). Allows the
// methods and request headers of the API and exposes its response headers.
Middleware cors(CorsOptions options);

// Compresses JSON bodies of at least `least_bytes` for clients that accept gzip, streamed ones
// too (never server-sent events), and sets Vary.
Middleware gzip(std::size_t least_bytes);

}  // namespace colloquy::http
