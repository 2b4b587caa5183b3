// Many rows written at once: as many to a call as the service allows, and what it leaves undone is
// sent again, later each time. Thread-safe. Both throw kUnavailable when the tables stay too busy,
// with any part of the rows done.
#pragma once

#include <string>
#include <vector>

#include "base/task.h"
#include "store/dynamodb/client.h"

namespace colloquy::store::dynamodb {

// Puts the rows, each the JSON of an item, in place of what has their keys. No two have the same.
// Patient: for a copy that nobody waits for.
Task<> put_rows(Client& client, std::string table, std::vector<std::string> items);

// Erases the rows of these keys, each the JSON of a key; one that is not there is no error.
Task<> erase_rows(Client& client, std::string table, std::vector<std::string> keys);

}  // namespace colloquy::store::dynamodb
