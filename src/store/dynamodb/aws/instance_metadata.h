// The metadata service of an EC2 instance, version 2 (Amazon EC2 User Guide, "Use the Instance
// Metadata Service"): the role's credentials and the region. Version 1, which needs no token, is
// never spoken. AWS_EC2_METADATA_DISABLED, AWS_EC2_METADATA_SERVICE_ENDPOINT and
// AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE are honoured.
#pragma once

#include <string>

#include "store/dynamodb/aws/credentials.h"
#include "store/dynamodb/aws/environment.h"

namespace colloquy::aws {

// Throws NoCredentials where the service is disabled, does not answer or has given the instance no
// role: so it does on every machine that is not an instance.
class InstanceMetadataCredentials final : public CredentialProvider {
 public:
  explicit InstanceMetadataCredentials(ProviderContext context);
  Task<Credentials> get() override;

 private:
  const ProviderContext context_;
};

// The region of the machine. Throws Error kUnavailable.
Task<std::string> instance_region(ProviderContext context);

}  // namespace colloquy::aws
