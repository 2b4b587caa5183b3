// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, for temporary ones, AWS_SESSION_TOKEN.
#pragma once

#include "store/dynamodb/aws/credentials.h"
#include "store/dynamodb/aws/environment.h"

namespace colloquy::aws {

// Throws NoCredentials where neither key is set; one without the other is a failure.
class EnvironmentCredentials final : public CredentialProvider {
 public:
  explicit EnvironmentCredentials(Environment environment);
  Task<Credentials> get() override;

 private:
  const Environment environment_;
};

}  // namespace colloquy::aws
