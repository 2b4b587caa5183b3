// A role taken on with the token that the platform keeps in a file, as EKS does for service
// accounts (IRSA): AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN, AWS_ROLE_SESSION_NAME. The file is
// read anew each time, since the platform replaces it.
#pragma once

#include "store/dynamodb/aws/credentials.h"
#include "store/dynamodb/aws/environment.h"

namespace colloquy::aws {

// Throws NoCredentials where no file is set; a file without a role is a failure.
class WebIdentityCredentials final : public CredentialProvider {
 public:
  explicit WebIdentityCredentials(ProviderContext context);
  Task<Credentials> get() override;

 private:
  const ProviderContext context_;
};

}  // namespace colloquy::aws
