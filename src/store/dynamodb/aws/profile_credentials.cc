#include "store/dynamodb/aws/profile_credentials.h"

#include <memory>
#include <string_view>
#include <utility>

#include "store/dynamodb/aws/container_credentials.h"
#include "store/dynamodb/aws/environment_credentials.h"
#include "store/dynamodb/aws/instance_metadata.h"
#include "store/dynamodb/aws/sts.h"

namespace colloquy::aws {
namespace {

constexpr std::string_view kProvider = "profile";

std::string label(const std::string& name) { return std::string(kProvider) + " " + name; }

Error refuse(const std::string& name, const std::string& reason) {
  return provider_failure(label(name), reason);
}

SharedConfig load_config(const Environment& environment) {
  try {
    return SharedConfig::load(environment);
  } catch (const Error& error) {
    throw provider_failure(kProvider, error.detail());
  }
}

bool has(const Profile& profile, std::string_view name) { return !setting(profile, name).empty(); }

bool has_own_keys(const Profile& profile) {
  return has(profile, "aws_access_key_id") || has(profile, "aws_secret_access_key");
}

Credentials own_keys(const Profile& profile, const std::string& name) {
  Credentials credentials;
  credentials.access_key_id = setting(profile, "aws_access_key_id");
  credentials.secret_access_key = setting(profile, "aws_secret_access_key");
  credentials.session_token = setting(profile, "aws_session_token");
  check_credentials(credentials, label(name));
  return credentials;
}

Role role_of(const Profile& profile) {
  return {setting(profile, "role_arn"), setting(profile, "role_session_name"),
          setting(profile, "external_id"), setting(profile, "duration_seconds")};
}

// What the profile asks for and this program does not do.
void check_supported(const Profile& profile, const std::string& name) {
  for (const auto* unsupported : {"credential_process", "sso_session", "sso_start_url"}) {
    if (has(profile, unsupported)) {
      throw refuse(name, std::string("`") + unsupported + "` is not supported");
    }
  }
}

}  // namespace

ProfileCredentials::ProfileCredentials(ProviderContext context) : context_(std::move(context)) {}

Task<Credentials> ProfileCredentials::get() {
  const std::string name = profile_name(context_.environment);
  const SharedConfig config = load_config(context_.environment);
  if (config.find(name) == nullptr) {
    if (context_.environment.get("AWS_PROFILE")) throw refuse(name, "there is no such profile");
    throw NoCredentials(kProvider, "there is no profile " + name);
  }
  std::set<std::string> passed;
  Credentials credentials = co_await resolve(config, name, std::move(passed));
  co_return credentials;
}

Task<Credentials> ProfileCredentials::resolve(const SharedConfig& config, std::string name,
                                              std::set<std::string> passed) {
  const Profile* profile = config.find(name);
  if (profile == nullptr) throw refuse(name, "there is no such profile");
  if (!passed.insert(name).second) throw refuse(name, "`source_profile` leads back to it");
  ProviderContext context = context_;
  Role role = role_of(*profile);
  std::string provider = label(name);
  if (has(*profile, "role_arn") && has(*profile, "web_identity_token_file")) {
    std::string token = context_.environment.token_file(
        "web_identity_token_file", setting(*profile, "web_identity_token_file"), provider);
    Credentials credentials = co_await assume_role_with_web_identity(
        std::move(context), std::move(role), std::move(token), std::move(provider));
    co_return credentials;
  }
  if (has(*profile, "source_profile") || has(*profile, "credential_source")) {
    if (role.arn.empty()) throw refuse(name, "`role_arn` is missing");
    if (has(*profile, "mfa_serial")) throw refuse(name, "`mfa_serial` is not supported");
    Credentials source = co_await source_of(config, name, std::move(passed));
    Credentials credentials = co_await assume_role(std::move(context), std::move(role),
                                                   std::move(source), std::move(provider));
    co_return credentials;
  }
  if (has_own_keys(*profile)) co_return own_keys(*profile, name);
  check_supported(*profile, name);
  if (!role.arn.empty()) {
    throw refuse(name,
                 "`role_arn` needs `source_profile`, `credential_source` or "
                 "`web_identity_token_file`");
  }
  throw NoCredentials(label(name), "it holds no credentials");
}

// What the role of the profile is taken on with.
Task<Credentials> ProfileCredentials::source_of(const SharedConfig& config, std::string name,
                                                std::set<std::string> passed) {
  const Profile& profile = *config.find(name);
  std::string source = setting(profile, "source_profile");
  if (source == name && has_own_keys(profile)) co_return own_keys(profile, name);
  if (!source.empty()) {
    Credentials credentials = co_await resolve(config, std::move(source), std::move(passed));
    co_return credentials;
  }
  source = setting(profile, "credential_source");
  std::unique_ptr<CredentialProvider> provider;
  if (source == "Environment") {
    provider = std::make_unique<EnvironmentCredentials>(context_.environment);
  } else if (source == "EcsContainer") {
    provider = std::make_unique<ContainerCredentials>(context_);
  } else if (source == "Ec2InstanceMetadata") {
    provider = std::make_unique<InstanceMetadataCredentials>(context_);
  } else {
    throw refuse(name,
                 "`credential_source` is none of Environment, EcsContainer and "
                 "Ec2InstanceMetadata");
  }
  std::string reason;
  try {
    Credentials credentials = co_await provider->get();
    co_return credentials;
  } catch (const Error& error) {
    reason = error.detail();
  }
  throw refuse(name, "its `credential_source` failed: " + reason);
}

}  // namespace colloquy::aws
