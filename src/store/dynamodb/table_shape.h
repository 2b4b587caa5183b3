// What the two tables must be, and the calls' bodies that make them so. Pure; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "store/dynamodb/rows.h"

namespace colloquy::store::dynamodb {

struct KeyShape {
  std::string hash;
  std::string range;  // empty: none
  bool operator==(const KeyShape&) const = default;
  std::string text() const;  // as a person reads it: (user_id, created_at)
};

struct IndexShape {
  std::string name;
  KeyShape key;
};

struct TableShape {
  std::string name;
  KeyShape key;
  std::map<std::string, std::string> types;  // of the attributes in keys: "S" or "N"
  std::vector<IndexShape> indexes;           // KEYS_ONLY
};

struct IndexChoice {
  bool secondary_indexes = true;  // the source document's two
  bool updated_index = false;     // UserUpdatedIndex
};

// The attribute that holds the Unix second at which the service may remove an item.
inline constexpr const char* kTimeToLiveAttribute = "ttl";

// The table of conversations, then the one of messages.
std::vector<TableShape> table_shapes(const TableNames& names, IndexChoice choice);

std::string create_table_body(const TableShape& table);
// A table that is billed by provisioned units wants some for its new index too.
struct ProvisionedUnits {
  std::int64_t read = 0;  // 0: on demand
  std::int64_t write = 0;
};
std::string add_index_body(const TableShape& table, const IndexShape& index,
                           ProvisionedUnits units);

}  // namespace colloquy::store::dynamodb
