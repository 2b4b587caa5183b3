// Drives the service's point-in-time restore: each of the two tables as it was at one second, into
// a new one beside it, with the settings that a restore does not carry over. For the program's
// `restore` command; each call runs on the event loop that awaits it, and may be repeated after
// whatever cut it off: what is there from the same restore is gone on with.
//
// Errors: kInvalid for a second that the service cannot restore, naming its bounds; kConflict for
// new tables that are there and are not of this restore; kUnavailable when the service is out, or
// is not done in time.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/task.h"
#include "store/dynamodb/client.h"
#include "store/dynamodb/rows.h"
#include "store/dynamodb/tables.h"

namespace colloquy::store::dynamodb {

struct TableRestore {
  TableNames from;
  TableNames to;
  std::int64_t at_s = 0;  // Unix seconds
  // By when all is done; a call that comes later fails.
  std::chrono::steady_clock::time_point give_up;
  // How often the service is asked; it begins more often.
  std::chrono::milliseconds poll_interval{5'000};
};

struct RestoreTold {
  Progress say;      // what has been done
  Progress waiting;  // what is waited for, again and again
};

// Looks at everything before it begins anything, and returns when both new tables are active.
Task<> restore_tables(Client& client, TableRestore restore, RestoreTold told);

// Gives the new tables, which are active, what the old ones have and a restore leaves behind: tags,
// class and deletion protection, time to live, point-in-time recovery.
Task<> set_up_restored_tables(Client& client, TableRestore restore, RestoreTold told);

}  // namespace colloquy::store::dynamodb
