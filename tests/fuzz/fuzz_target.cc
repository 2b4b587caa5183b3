// A request's target: percent coding, the query, and the router.
#include <cstdint>

#include "base/text.h"
#include "check.h"
#include "http/message.h"
#include "http/query.h"
#include "http/router.h"

namespace {

namespace http = colloquy::http;

http::Router make_router() {
  http::Router router;
  for (const char* path_template :
       {"/", "/health", "/conversations", "/conversations/{conversation_id}",
        "/conversations/search", "/conversations/{conversation_id}/messages/{message_id}",
        "/files/{path...}", "/files/a/{name}", "/{any}/b"}) {
    for (const http::Method method : {http::Method::kGet, http::Method::kPost}) {
      router.add({method, path_template, false, {}});
    }
  }
  return router;
}

void check_coding(std::string_view text) {
  for (const bool plus_is_space : {false, true}) {
    const auto decoded = http::percent_decode(text, plus_is_space);
    if (!decoded) continue;
    COLLOQUY_CHECK(decoded->find('\0') == std::string::npos);
    COLLOQUY_CHECK(http::percent_decode(colloquy::percent_encode(*decoded), plus_is_space) ==
                   decoded);
  }
}

void check_route(const http::Router& router, http::Method method, std::string_view path) {
  http::Request request;
  request.method = method;
  request.path = path;
  const auto match = router.match(request);
  if (match.outcome == http::Router::Outcome::kNoPath) return;
  COLLOQUY_CHECK(!match.allow.empty());
  COLLOQUY_CHECK(path.find("//") == std::string_view::npos);
  if (match.outcome != http::Router::Outcome::kFound) return;
  COLLOQUY_CHECK(request.route == match.route->path_template);
  for (const auto& [name, value] : request.path_parameters) COLLOQUY_CHECK(!value.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const http::Router router = make_router();
  const std::string_view target(reinterpret_cast<const char*>(data), size);
  check_coding(target);
  const std::size_t mark = target.find('?');
  if (mark != std::string_view::npos) {
    http::Request request;
    if (http::parse_query(target.substr(mark + 1), request.query)) {
      for (const auto& [name, value] : request.query) {
        COLLOQUY_CHECK(request.query_parameter(name) != nullptr);
      }
    }
  }
  for (const auto method :
       {http::Method::kGet, http::Method::kHead, http::Method::kDelete, http::Method::kOther}) {
    check_route(router, method, target.substr(0, mark));
  }
  return 0;
}
