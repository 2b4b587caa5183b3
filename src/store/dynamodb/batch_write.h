// Many rows put at once. Thread-safe.
#pragma once

#include <string>
#include <vector>

#include "base/task.h"
#include "store/dynamodb/client.h"

namespace colloquy::store::dynamodb {

// Puts the rows, each the JSON of an item, in place of what has their keys, as many to a call as
// the service allows; what it leaves undone is sent again, later each time. No two rows have the
// same key. Throws kUnavailable when the tables stay too busy, with any part of the rows written.
Task<> put_rows(Client& client, std::string table, std::vector<std::string> items);

}  // namespace colloquy::store::dynamodb
