#include "store/dynamodb/aws/web_identity_credentials.h"

#include <utility>

#include "store/dynamodb/aws/sts.h"

namespace colloquy::aws {
namespace {

constexpr const char* kProvider = "web identity";
constexpr const char* kTokenFile = "AWS_WEB_IDENTITY_TOKEN_FILE";

}  // namespace

WebIdentityCredentials::WebIdentityCredentials(ProviderContext context)
    : context_(std::move(context)) {}

Task<Credentials> WebIdentityCredentials::get() {
  const Environment& environment = context_.environment;
  const auto path = environment.get(kTokenFile);
  // AWS_ROLE_ARN alone means nothing here; other tools use it too.
  if (!path) throw NoCredentials(kProvider, std::string(kTokenFile) + " is not set");
  Role role;
  role.arn = environment.get("AWS_ROLE_ARN").value_or("");
  if (role.arn.empty()) throw provider_failure(kProvider, "AWS_ROLE_ARN is not set");
  role.session_name = environment.get("AWS_ROLE_SESSION_NAME").value_or("");
  std::string token = environment.token_file(kTokenFile, *path, kProvider);
  ProviderContext context = context_;
  std::string provider = kProvider;
  Credentials credentials = co_await assume_role_with_web_identity(
      std::move(context), std::move(role), std::move(token), std::move(provider));
  co_return credentials;
}

}  // namespace colloquy::aws
