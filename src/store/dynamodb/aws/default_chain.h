// Looks for credentials where the SDKs look, in their order: environment, web identity, profile,
// container, instance metadata.
#pragma once

#include <memory>
#include <vector>

#include "store/dynamodb/aws/credentials.h"
#include "store/dynamodb/aws/environment.h"

namespace colloquy::aws {

// Asks one provider after the other. One that is not set up (NoCredentials) is passed over; one
// that is set up and fails ends the search, so that a fault never makes the program go on under
// another identity. Throws Error kUnavailable, its detail listing all that was tried, when none has
// any.
class CredentialChain final : public CredentialProvider {
 public:
  explicit CredentialChain(std::vector<std::unique_ptr<CredentialProvider>> providers);
  Task<Credentials> get() override;

 private:
  const std::vector<std::unique_ptr<CredentialProvider>> providers_;
};

std::unique_ptr<CredentialProvider> make_default_chain(ProviderContext context);

}  // namespace colloquy::aws
