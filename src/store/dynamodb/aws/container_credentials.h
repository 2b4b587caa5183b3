// Credentials of a task or a pod from the endpoint that its platform runs beside it: ECS
// (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI) and EKS Pod Identity
// (AWS_CONTAINER_CREDENTIALS_FULL_URI), with the token of AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE,
// read anew each time, or of AWS_CONTAINER_AUTHORIZATION_TOKEN.
#pragma once

#include <string>

#include "store/dynamodb/aws/credentials.h"
#include "store/dynamodb/aws/environment.h"

namespace colloquy::aws {

// Throws NoCredentials where neither variable is set.
class ContainerCredentials final : public CredentialProvider {
 public:
  explicit ContainerCredentials(ProviderContext context);
  Task<Credentials> get() override;

 private:
  const ProviderContext context_;
};

// Whether a token may be sent there: https, or plain http to this machine or to the addresses of
// ECS and EKS (169.254.170.2, 169.254.170.23, fd00:ec2::23).
bool is_container_endpoint(const std::string& url);

}  // namespace colloquy::aws
