// Finds the handler of a request: a method and a path template. Built once at
// start, then read by every event loop without a lock.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/task.h"
#include "http/message.h"

namespace colloquy::http {

using Handler = std::function<Task<Response>(Request&)>;

struct Route {
  Method method = Method::kGet;
  std::string
      path_template;  // "/conversations/{conversation_id}"; a last "{path...}" takes the rest
  bool open = false;  // needs no token
  Handler handler;
  // The handler reads the body while it arrives (Request::body_stream), up to so many bytes.
  std::optional<std::uint64_t> streamed_body_bytes = std::nullopt;
};

class Router {
 public:
  // Asserts that no two routes are the same.
  void add(Route route);

  enum class Outcome : std::uint8_t { kFound, kNoPath, kNoMethod };
  struct Match {
    Outcome outcome = Outcome::kNoPath;
    const Route* route = nullptr;  // kFound; for HEAD the route of GET
    std::string allow;             // kNoMethod, OPTIONS: the methods of the path, for `Allow`
  };
  // On kFound fills request.route and request.path_parameters. A path with an undecodable
  // escape, an empty segment or a trailing slash matches nothing.
  Match match(Request& request) const;

  // Of the route that the request will be given to.
  std::optional<std::uint64_t> streamed_body_bytes(const Request& request) const;

  const std::vector<Route>& routes() const { return routes_; }

 private:
  struct Template;
  std::vector<Route> routes_;
  std::vector<std::vector<std::string>> segments_;  // of routes_, split
};

}  // namespace colloquy::http
