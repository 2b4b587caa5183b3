#include "store/dynamodb/tables.h"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <map>

#include "base/error.h"
#include "store/dynamodb/refusals.h"

namespace colloquy::store::dynamodb {
namespace {

struct Index {
  std::string name;
  std::string hash;
  std::string range;
};

struct Table {
  std::string name;
  std::string hash;
  std::string range;
  std::map<std::string, char> types;  // of the attributes in keys
  std::vector<Index> indexes;
};

std::vector<Table> tables_of(const TableNames& names, const TableOptions& options) {
  Table conversations{names.conversations,
                      "user_id",
                      "conversation_id",
                      {{"user_id", 'S'}, {"conversation_id", 'S'}},
                      {}};
  Table messages{names.messages,
                 "conversation_id",
                 "message_id",
                 {{"conversation_id", 'S'}, {"message_id", 'S'}},
                 {}};
  if (options.secondary_indexes) {
    conversations.indexes.push_back({"UserCreatedIndex", "user_id", "created_at"});
    conversations.types["created_at"] = 'N';
    messages.indexes.push_back({"ConversationTimeIndex", "conversation_id", "timestamp"});
    messages.types["timestamp"] = 'N';
  }
  if (options.updated_index) {
    conversations.indexes.push_back({"UserUpdatedIndex", "user_id", "updated_at"});
    conversations.types["updated_at"] = 'N';
  }
  return {conversations, messages};
}

void write_key_schema(JsonWriter& json, const std::string& hash, const std::string& range) {
  json.key("KeySchema").begin_array();
  json.begin_object().key("AttributeName").string(hash).key("KeyType").string("HASH").end_object();
  json.begin_object()
      .key("AttributeName")
      .string(range)
      .key("KeyType")
      .string("RANGE")
      .end_object();
  json.end_array();
}

std::string create_body(const Table& table) {
  std::string body;
  JsonWriter json(body);
  json.begin_object().key("TableName").string(table.name);
  json.key("BillingMode").string("PAY_PER_REQUEST");
  json.key("SSESpecification").begin_object().key("Enabled").boolean(true).end_object();
  json.key("AttributeDefinitions").begin_array();
  for (const auto& [name, type] : table.types) {
    json.begin_object().key("AttributeName").string(name);
    json.key("AttributeType").string(std::string(1, type)).end_object();
  }
  json.end_array();
  write_key_schema(json, table.hash, table.range);
  if (!table.indexes.empty()) {
    json.key("GlobalSecondaryIndexes").begin_array();
    for (const auto& index : table.indexes) {
      json.begin_object().key("IndexName").string(index.name);
      write_key_schema(json, index.hash, index.range);
      json.key("Projection").begin_object().key("ProjectionType").string("KEYS_ONLY").end_object();
      json.end_object();
    }
    json.end_array();
  }
  json.end_object();
  return body;
}

}  // namespace

Task<> create_tables(Client& client, TableNames names, TableOptions options, Progress) {
  for (const auto& table : tables_of(names, options)) {
    co_await checked_call(client, "CreateTable", create_body(table));
  }
}

}  // namespace colloquy::store::dynamodb
