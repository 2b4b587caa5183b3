// The key that signs requests to AWS, and the interface of what finds one. The chain that looks
// where the SDKs look stands in default_chain.h; what keeps its find fresh, in
// caching_credentials.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/task.h"

namespace colloquy::aws {

struct Credentials {
  std::string access_key_id;
  std::string secret_access_key;              // never in a log or an error
  std::string session_token;                  // never in a log or an error; empty: none
  std::optional<std::int64_t> expires_at_ms;  // Unix time; none: they do not expire
};

// Thread-safe: get() may run on several event loops at once.
class CredentialProvider {
 public:
  virtual ~CredentialProvider() = default;
  // Looks, or asks, anew. Throws Error kUnavailable, its detail naming the provider and holding no
  // secret; NoCredentials when there are none to be had here.
  virtual Task<Credentials> get() = 0;
};

// A provider that is not set up at all, as opposed to one that fails. kUnavailable.
class NoCredentials final : public Error {
 public:
  NoCredentials(std::string_view provider, std::string_view reason);
};

// A provider that is set up and fails.
Error provider_failure(std::string_view provider, std::string_view reason);

// Throws provider_failure unless both keys are there and all three can be sent in a header field.
void check_credentials(const Credentials& credentials, std::string_view provider);

// Always the same ones; for tests, and for what an operator wrote down. Throws as
// check_credentials().
class StaticCredentials final : public CredentialProvider {
 public:
  explicit StaticCredentials(Credentials credentials);
  Task<Credentials> get() override;

 private:
  const Credentials credentials_;
};

}  // namespace colloquy::aws
