// Which texts may be a user id. Everything that lets a user id in goes through
// here: verified tokens, and the command that mints them.
#pragma once

#include <string_view>

namespace colloquy::auth {

// True for 1 to limits::kUserIdBytes bytes of valid UTF-8 (RFC 3629) without
// control characters (U+0000 to U+001F, U+007F to U+009F).
bool is_user_id(std::string_view text);

}  // namespace colloquy::auth
