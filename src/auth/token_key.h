// The secret of the embedded default's own tokens (HS256), and how such a token
// is made. Everything here blocks on files or is meant for the command line:
// call it before the event loops run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace colloquy::auth {

inline constexpr std::string_view kEmbeddedIssuer = "colloquy";
inline constexpr std::string_view kTokenKeyFileName = "token.key";  // in the data folder

struct TokenKeySource {
  std::filesystem::path file{};         // --token-key-file; empty: not given
  std::string value{};                  // the environment's; empty: not given
  std::filesystem::path data_folder{};  // where kTokenKeyFileName stands if neither is given
  bool create_if_missing = true;        // in the data folder, which is made too
};

struct TokenKey {
  std::string secret;
  std::string origin;   // for people: which file, or "the environment"
  std::string warning;  // empty, or what is unsafe about it, for the log
  bool made = false;    // by this call
};

// The key is the file's bytes without the line end they finish with, and nothing is decoded:
// whoever signs with the same text elsewhere makes good tokens. A new file holds 32 random bytes as
// 43 characters of base64url, mode 0600, and is never seen half written; of two processes that make
// it at the same time, one wins and both use its key.
//
// Throws Error kInvalid when a key has less than 32 bytes, a file cannot be read or made, both
// `file` and `value` are given, or the data folder's key can be read by everyone; kNotFound when
// the file is missing and may not be made. Other people's access to a `file`, and the group's to
// either, is a warning only: volumes of secrets are commonly mounted so.
TokenKey load_token_key(const TokenKeySource& source);

// A token that TokenAuthenticator accepts until now_s + ttl_s: `iss`, `sub`, `iat`, `exp` and a
// random `jti`. Throws Error kInvalid, with the field, when `user` is no user id (auth/user_id.h),
// `ttl_s` is not 1 to kTokenTtlSecondsMax, or the key is too short.
inline constexpr std::int64_t kTokenTtlSecondsMax = 10LL * 365 * 24 * 60 * 60;
std::string mint_token(std::string_view key, std::string_view user, std::int64_t ttl_s,
                       std::int64_t now_s, std::string_view issuer = kEmbeddedIssuer);

}  // namespace colloquy::auth
