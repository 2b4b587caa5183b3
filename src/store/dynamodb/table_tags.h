// The tags of a table, and setting them on another. Throws as Client::call.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/task.h"
#include "store/dynamodb/client.h"

namespace colloquy::store::dynamodb {

using Tags = std::vector<std::pair<std::string, std::string>>;

// Those of a table that may be set on another: the service's own ("aws:…") are left out. nullopt:
// this service has no tags.
Task<std::optional<Tags>> tags_of(Client& client, std::string arn);
// The body of a TagResource.
std::string tag_body(const std::string& arn, const Tags& tags);

}  // namespace colloquy::store::dynamodb
