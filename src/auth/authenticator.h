// A bearer token becomes a user id.
#pragma once

#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/task.h"

namespace colloquy::auth {

// Who is asking, out of a verified token.
struct Identity {
  UserId user_id;
  std::int64_t expires_at_s = 0;
};

class Authenticator {
 public:
  virtual ~Authenticator() = default;
  // Takes the token without its "Bearer ". Callable from any event loop.
  // Throws kUnauthenticated, with a message that says what is wrong but not how to forge it;
  // kUnavailable when the key set cannot be had and none is cached.
  virtual Task<Identity> authenticate(std::string token) = 0;
};

}  // namespace colloquy::auth
