// The two calls of the Security Token Service that exchange one proof of identity for the
// credentials of a role (AWS STS API Reference, version 2011-06-15).
#pragma once

#include <string>

#include "base/task.h"
#include "store/dynamodb/aws/credentials.h"
#include "store/dynamodb/aws/environment.h"

namespace colloquy::aws {

struct Role {
  std::string arn;
  std::string session_name;      // empty: one of the time
  std::string external_id;       // empty: none; for assume_role only
  std::string duration_seconds;  // as written in a profile; empty: the service's own
};

// Of the region that is configured, or AWS_ENDPOINT_URL_STS, or AWS_ENDPOINT_URL. Both throw Error
// kUnavailable in the name of `provider`; STS's error code goes into the detail, its message does
// not, since it may repeat what was sent.
Task<Credentials> assume_role_with_web_identity(ProviderContext context, Role role,
                                                std::string token, std::string provider);
Task<Credentials> assume_role(ProviderContext context, Role role, Credentials source,
                              std::string provider);

}  // namespace colloquy::aws
