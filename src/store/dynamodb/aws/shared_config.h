// The profiles of the files that the AWS command line writes: ~/.aws/config and ~/.aws/credentials
// (AWS SDKs and Tools Reference Guide, "Shared config and credentials files"). Values; any thread.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "store/dynamodb/aws/environment.h"

namespace colloquy::aws {

using Profile = std::map<std::string, std::string, std::less<>>;  // settings by lower-case name

// The value of a setting; empty when the profile has none.
std::string setting(const Profile& profile, std::string_view name);

class SharedConfig {
 public:
  // Reads the files that AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE name, or those in ~/.aws;
  // one that is not there is empty. Where both have a setting, the credentials file's counts.
  // Blocks for two small reads. Throws Error kUnavailable, naming the file and the line and nothing
  // else of it, when one cannot be read or is malformed.
  static SharedConfig load(const Environment& environment);

  // nullptr when there is none of that name.
  const Profile* find(std::string_view profile_name) const;

 private:
  std::map<std::string, Profile, std::less<>> profiles_;
};

// AWS_PROFILE, or "default".
std::string profile_name(const Environment& environment);

}  // namespace colloquy::aws
