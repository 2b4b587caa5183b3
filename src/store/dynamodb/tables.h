// The two tables: made, and compared with what they must be.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/task.h"
#include "store/dynamodb/client.h"
#include "store/dynamodb/rows.h"

namespace colloquy::store::dynamodb {

struct TableOptions {
  bool secondary_indexes = true;  // the source document's two, KEYS_ONLY
  bool updated_index = false;     // UserUpdatedIndex
};

// Told of each step in words, for a person who waits.
using Progress = std::function<void(const std::string&)>;

// Makes what is missing, and waits until all is active. Safe to run again. Throws Error.
Task<> create_tables(Client& client, TableNames names, TableOptions options, Progress progress);

}  // namespace colloquy::store::dynamodb
