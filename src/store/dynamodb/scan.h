// Rows as the service gives them, page by page, for what moves or inspects whole tables. A position
// is the JSON of the key after which a page begins, in one line; empty: the beginning, and after
// the last page. Reads are consistent. Thread-safe.
//
// Errors: Error(kUnavailable) when the service is out, kInternal for an answer that cannot be.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "base/task.h"
#include "store/dynamodb/client.h"
#include "store/dynamodb/rows.h"
#include "store/dynamodb/table_shape.h"

namespace colloquy::store::dynamodb {

struct RowPage {
  std::vector<boost::json::object> items;
  std::string next;
};

// `limit` rows at most, in an order that stays the same while nothing is written.
Task<RowPage> scan_rows(Client& client, std::string table, std::string position,
                        std::int64_t limit);

struct RowQuery {
  std::string table;
  std::string hash_name;
  std::string hash;
  std::string projection;  // such as "#message_id, #timestamp"; empty: all attributes
  std::int64_t limit = 0;  // 0: what makes 1 MiB
};
Task<RowPage> query_rows(Client& client, RowQuery query, std::string position);

// How many rows there are, as the service last counted them, which may be hours ago. Throws
// kInvalid that names the table where it is not there, not usable yet, or keyed otherwise than
// ours.
Task<std::uint64_t> count_rows(Client& client, std::string table, KeyShape key);

// Both tables of conversations and messages are there; returns the count of the first.
Task<std::uint64_t> count_conversations(Client& client, TableNames names);

}  // namespace colloquy::store::dynamodb
