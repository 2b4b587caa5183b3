#include "store/dynamodb/aws/environment_credentials.h"

#include <utility>

namespace colloquy::aws {
namespace {

constexpr std::string_view kProvider = "environment";

}  // namespace

EnvironmentCredentials::EnvironmentCredentials(Environment environment)
    : environment_(std::move(environment)) {}

Task<Credentials> EnvironmentCredentials::get() {
  const auto key_id = environment_.get("AWS_ACCESS_KEY_ID");
  const auto secret = environment_.get("AWS_SECRET_ACCESS_KEY");
  if (!key_id && !secret) {
    throw NoCredentials(kProvider, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set");
  }
  if (!key_id || !secret) {
    throw provider_failure(
        kProvider, key_id ? "AWS_SECRET_ACCESS_KEY is not set" : "AWS_ACCESS_KEY_ID is not set");
  }
  Credentials credentials;
  credentials.access_key_id = *key_id;
  credentials.secret_access_key = *secret;
  credentials.session_token = environment_.get("AWS_SESSION_TOKEN").value_or("");
  check_credentials(credentials, kProvider);
  co_return credentials;
}

}  // namespace colloquy::aws
