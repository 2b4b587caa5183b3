// The credentials of a profile of the shared files (shared_config.h): its own keys, a role taken on
// with those of another profile (`source_profile`) or of another provider (`credential_source`), or
// a role taken on with a web identity's token. The files are read anew each time.
#pragma once

#include <set>
#include <string>

#include "store/dynamodb/aws/credentials.h"
#include "store/dynamodb/aws/environment.h"
#include "store/dynamodb/aws/shared_config.h"

namespace colloquy::aws {

// The profile is AWS_PROFILE's, or "default". Throws NoCredentials where there is no such profile
// or it has none of these; a profile that AWS_PROFILE names and that is not there is a failure. So
// are single sign-on, `credential_process` and `mfa_serial`, which are not supported.
class ProfileCredentials final : public CredentialProvider {
 public:
  explicit ProfileCredentials(ProviderContext context);
  Task<Credentials> get() override;

 private:
  Task<Credentials> resolve(const SharedConfig& config, std::string name,
                            std::set<std::string> passed);
  Task<Credentials> source_of(const SharedConfig& config, std::string name,
                              std::set<std::string> passed);

  const ProviderContext context_;
};

}  // namespace colloquy::aws
