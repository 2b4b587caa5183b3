// Finds the handler of a request: a method and a path template. Built once at
// start, then read by every event loop without a lock.
#pragma once

#include <functional>
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

  const std::vector<Route>& routes() const { return routes_; }

 private:
  struct Template;
  std::vector<Route> routes_;
  std::vector<std::vector<std::string>> segments_;  // of routes_, split
};

}  // namespace colloquy::http
