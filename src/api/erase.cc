// DELETE /me: erases the caller. GET /me: whether that is under way.
#include <chrono>
#include <string>
#include <utility>

#include "api/error_reply.h"
#include "api/request_fields.h"
#include "api/services.h"
#include "base/error.h"
#include "base/json_writer.h"

namespace colloquy::api {
namespace {

// What takes longer is answered 202.
constexpr std::chrono::seconds kPatience{20};

http::Response state_reply(int status, const UserId& user, bool erasing) {
  std::string body;
  JsonWriter json(body);
  json.begin_object().key("user_id").string(user.value());
  json.key("erasing").boolean(erasing).end_object();
  auto response = json_reply(status, std::move(body));
  response.set_header("Cache-Control", "no-store");
  return response;
}

Task<http::Response> get(Services& services, http::Request& request) {
  const bool erasing = services.eraser != nullptr && services.eraser->is_erasing(request.user);
  co_return state_reply(200, request.user, erasing);
}

Task<http::Response> erase(Services& services, http::Request& request) {
  const auto* confirm = request.query_parameter("confirm");
  if (confirm == nullptr || *confirm != request.user.value()) {
    throw invalid_field("confirm", "must be your user id: everything that you have is erased");
  }
  if (services.eraser == nullptr) {
    throw unavailable("This server cannot erase users now.");
  }
  const bool ended = co_await services.eraser->erase(request.user, kPatience);
  auto response = state_reply(ended ? 200 : 202, request.user, !ended);
  if (!ended) response.set_header("Retry-After", "5");
  co_return response;
}

// A line for each user, as `colloquy restore --erased` reads it.
Task<> write_list(erase::Eraser& eraser, http::BodyWriter& writer) {
  std::string after;
  for (;;) {
    const auto page = co_await eraser.erased_users(after);
    if (page.empty()) co_return;
    std::string lines;
    for (const auto& erased : page) {
      lines += erased.user_sha256 + " " + std::to_string(erased.at_ms) + "\n";
    }
    after = page.back().user_sha256;
    co_await writer.write(lines);
  }
}

Task<http::Response> list(Services& services) {
  http::Response response;
  response.set_header("Content-Type", "text/plain; charset=utf-8");
  response.set_header("Cache-Control", "no-store");
  if (services.eraser != nullptr) {
    response.stream = [&services](http::BodyWriter& writer) {
      return write_list(*services.eraser, writer);
    };
  }
  co_return response;
}

}  // namespace

void add_erase_routes(http::Router& router, Services& services) {
  router.add({http::Method::kGet, "/me", false,
              [&services](http::Request& request) { return get(services, request); }});
  router.add({http::Method::kDelete, "/me", false,
              [&services](http::Request& request) { return erase(services, request); }});
}

void add_erase_admin_routes(http::Router& router, Services& services) {
  router.add({http::Method::kGet, "/erased", true,
              [&services](http::Request&) { return list(services); }});
}

}  // namespace colloquy::api
