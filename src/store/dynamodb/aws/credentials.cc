#include "store/dynamodb/aws/credentials.h"

#include <algorithm>
#include <utility>

namespace colloquy::aws {
namespace {

constexpr const char* kMessage = "Credentials for the database cannot be had at the moment.";

std::string line(std::string_view provider, std::string_view reason) {
  return std::string(provider) + ": " + std::string(reason);
}

bool sendable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

}  // namespace

NoCredentials::NoCredentials(std::string_view provider, std::string_view reason)
    : Error(unavailable(kMessage, line(provider, reason))) {}

Error provider_failure(std::string_view provider, std::string_view reason) {
  return unavailable(kMessage, line(provider, reason));
}

void check_credentials(const Credentials& credentials, std::string_view provider) {
  const auto check = [&](const std::string& text, const char* name, bool needed) {
    if (needed && text.empty()) {
      throw provider_failure(provider, std::string("the ") + name + " is missing");
    }
    if (!sendable(text)) {
      throw provider_failure(provider, std::string("the ") + name +
                                           " has a space, a line end or a byte outside ASCII");
    }
  };
  check(credentials.access_key_id, "access key id", true);
  check(credentials.secret_access_key, "secret access key", true);
  check(credentials.session_token, "session token", false);
}

StaticCredentials::StaticCredentials(Credentials credentials)
    : credentials_(std::move(credentials)) {
  check_credentials(credentials_, "static");
}

Task<Credentials> StaticCredentials::get() { co_return credentials_; }

}  // namespace colloquy::aws
