// The record of a restore into a pair of tables, in the new table of messages: how far it has come,
// so that it goes on after a crash, and no server begins on tables whose restore has not ended.
// Calls throw Error only.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "base/task.h"
#include "store/dynamodb/client.h"
#include "store/dynamodb/rows.h"

namespace colloquy::store::dynamodb {

struct RestoreRecord {
  std::int64_t at_s = 0;
  bool keep_expired = false;
  bool done = false;
  bool looked_through = false;      // every conversation, as of erased_users
  std::string position;             // that it has come to
  std::uint64_t erased_users = 0;   // who were to be left out when the first was looked at
  std::uint64_t conversations = 0;  // that are there, of those looked at
  std::uint64_t left_out = 0;
  std::uint64_t kept = 0;
  std::string stamp;  // another with each write; of whatever stands there, where it is none of ours
};

// Of this restore; an empty one where there is none. A table that is restored from one that was
// restored itself brings that one's record along, which names the other table.
Task<RestoreRecord> read_restore_record(Client& client, TableNames names, std::int64_t at_s);
// The body of the GetItem that reads it of a table of messages, and what its answer says.
std::string restore_record_body(const std::string& table);
enum class RestoreState : std::uint8_t { kNone, kBegun, kDone };
RestoreState restore_state(const boost::json::object& answer, const std::string& table);
// In place of the one with the stamp `before`; false where that is not there.
Task<bool> replace_restore_record(Client& client, TableNames names, RestoreRecord record,
                                  std::string before);

}  // namespace colloquy::store::dynamodb
