// Which region the tables are in, looked for where the SDKs look.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/task.h"
#include "store/dynamodb/aws/environment.h"

namespace colloquy::aws {

// What may stand in a host name: 1 to 63 of a-z, 0-9 and '-'.
bool is_region_name(std::string_view text);

// AWS_REGION, then AWS_DEFAULT_REGION, then `region` of the profile. Blocks for two small reads
// where the environment has none. Any thread. Throws Error kUnavailable when the profile's files
// cannot be read, kInvalid when what is found is no region's name.
std::optional<std::string> configured_region(const Environment& environment);

// `given` unless it is empty, then as configured_region(), then that of the machine, from instance
// metadata. Throws Error kInvalid, its message listing what was tried, when there is none.
Task<std::string> find_region(std::string given, ProviderContext context);

// The domain under which the services of a region have their hosts: "amazonaws.com", or that of
// another partition.
std::string_view dns_suffix(std::string_view region);

}  // namespace colloquy::aws
