#include "store/dynamodb/aws/default_chain.h"

#include <string>
#include <utility>

#include "store/dynamodb/aws/container_credentials.h"
#include "store/dynamodb/aws/environment_credentials.h"
#include "store/dynamodb/aws/instance_metadata.h"
#include "store/dynamodb/aws/profile_credentials.h"
#include "store/dynamodb/aws/web_identity_credentials.h"

namespace colloquy::aws {

CredentialChain::CredentialChain(std::vector<std::unique_ptr<CredentialProvider>> providers)
    : providers_(std::move(providers)) {}

Task<Credentials> CredentialChain::get() {
  std::string tried;
  for (const auto& provider : providers_) {
    try {
      Credentials credentials = co_await provider->get();
      co_return credentials;
    } catch (const NoCredentials& none) {
      tried += (tried.empty() ? "" : "; ") + none.detail();
    }
  }
  throw NoCredentials("no AWS credentials were found", "tried " + tried);
}

std::unique_ptr<CredentialProvider> make_default_chain(ProviderContext context) {
  std::vector<std::unique_ptr<CredentialProvider>> providers;
  providers.push_back(std::make_unique<EnvironmentCredentials>(context.environment));
  providers.push_back(std::make_unique<WebIdentityCredentials>(context));
  providers.push_back(std::make_unique<ProfileCredentials>(context));
  providers.push_back(std::make_unique<ContainerCredentials>(context));
  providers.push_back(std::make_unique<InstanceMetadataCredentials>(context));
  return std::make_unique<CredentialChain>(std::move(providers));
}

}  // namespace colloquy::aws
