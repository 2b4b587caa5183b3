#include "http/middleware.h"

#include <utility>

namespace colloquy::http {

Handler chain(std::vector<Middleware> middleware, Handler innermost) {
  Handler handler = std::move(innermost);
  for (auto outer = middleware.rbegin(); outer != middleware.rend(); ++outer) {
    handler = [outer = std::move(*outer), next = std::move(handler)](Request& request) {
      return outer(request, next);
    };
  }
  return handler;
}

}  // namespace colloquy::http
