// The two tables: made, compared with what they must be, described. For the program's start and its
// `tables` command; each call runs on the event loop that awaits it.
#pragma once

#include <chrono>
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
  // How often the service is asked whether it is done, and how long for one table.
  std::chrono::milliseconds poll_interval{1'000};
  std::chrono::milliseconds patience{3'600'000};
};

// Told of each step in words, for a person who waits. May be empty.
using Progress = std::function<void(const std::string&)>;

// Makes what is missing, and waits until all is active: tables, indexes, time to live,
// point-in-time recovery where the service has it. Safe to interrupt and to run again. Throws
// Error: kConflict for what is there, is wrong, and cannot be changed; kUnavailable.
Task<> create_tables(Client& client, TableNames names, TableOptions options, Progress progress);

struct Finding {
  enum class Severity { kWarning, kError };
  Severity severity = Severity::kError;
  std::string table;
  std::string text;           // a sentence without its full stop, for a person
  bool create_helps = false;  // create_tables mends it
};

enum class CheckFor {
  kOperator,  // everything
  kServing    // what serving needs; what it can do without is a warning, or not asked for
};
// What of the tables is not as it must be; indexes that `options` do not ask for may be there or
// not. Throws Error(kUnavailable) when the service is out or does not let us ask.
Task<std::vector<Finding>> check_tables(Client& client, TableNames names, TableOptions options,
                                        CheckFor purpose);

// What the service says of both tables, as JSON for a person: an object by table name, null for one
// that is not there. Throws Error(kUnavailable).
Task<std::string> describe_tables(Client& client, TableNames names);

}  // namespace colloquy::store::dynamodb
