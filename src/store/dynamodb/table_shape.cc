#include "store/dynamodb/table_shape.h"

#include "base/json_writer.h"

namespace colloquy::store::dynamodb {
namespace {

void write_key(JsonWriter& json, const KeyShape& key) {
  auto write = [&](const std::string& attribute, const char* type) {
    json.begin_object().key("AttributeName").string(attribute);
    json.key("KeyType").string(type).end_object();
  };
  json.key("KeySchema").begin_array();
  write(key.hash, "HASH");
  if (!key.range.empty()) write(key.range, "RANGE");
  json.end_array();
}

void write_types(JsonWriter& json, const std::map<std::string, std::string>& types) {
  json.key("AttributeDefinitions").begin_array();
  for (const auto& [name, type] : types) {
    json.begin_object().key("AttributeName").string(name);
    json.key("AttributeType").string(type).end_object();
  }
  json.end_array();
}

void write_index(JsonWriter& json, const IndexShape& index, ProvisionedUnits units) {
  json.begin_object().key("IndexName").string(index.name);
  write_key(json, index.key);
  json.key("Projection").begin_object().key("ProjectionType").string("KEYS_ONLY").end_object();
  if (units.write > 0) {
    json.key("ProvisionedThroughput").begin_object();
    json.key("ReadCapacityUnits").integer(units.read);
    json.key("WriteCapacityUnits").integer(units.write).end_object();
  }
  json.end_object();
}

}  // namespace

std::string KeyShape::text() const {
  return "(" + hash + (range.empty() ? "" : ", " + range) + ")";
}

std::vector<TableShape> table_shapes(const TableNames& names, IndexChoice choice) {
  TableShape conversations{names.conversations,
                           {"user_id", "conversation_id"},
                           {{"user_id", "S"}, {"conversation_id", "S"}},
                           {}};
  TableShape messages{names.messages,
                      {"conversation_id", "message_id"},
                      {{"conversation_id", "S"}, {"message_id", "S"}},
                      {}};
  auto add = [](TableShape& table, const char* name, const char* time) {
    table.indexes.push_back({name, {table.key.hash, time}});
    table.types[time] = "N";
  };
  if (choice.secondary_indexes) {
    add(conversations, "UserCreatedIndex", "created_at");
    add(messages, "ConversationTimeIndex", "timestamp");
  }
  if (choice.updated_index) add(conversations, "UserUpdatedIndex", "updated_at");
  return {conversations, messages};
}

std::string create_table_body(const TableShape& table) {
  std::string body;
  JsonWriter json(body);
  json.begin_object().key("TableName").string(table.name);
  json.key("BillingMode").string("PAY_PER_REQUEST");
  json.key("SSESpecification").begin_object().key("Enabled").boolean(true).end_object();
  write_types(json, table.types);
  write_key(json, table.key);
  if (!table.indexes.empty()) {
    json.key("GlobalSecondaryIndexes").begin_array();
    for (const auto& index : table.indexes) write_index(json, index, {});
    json.end_array();
  }
  json.end_object();
  return body;
}

std::string add_index_body(const TableShape& table, const IndexShape& index,
                           ProvisionedUnits units) {
  std::string body;
  JsonWriter json(body);
  json.begin_object().key("TableName").string(table.name);
  // Only those that its keys name: what no key uses is refused.
  std::map<std::string, std::string> types;
  for (const auto& key : {table.key, index.key}) {
    for (const auto& name : {key.hash, key.range}) types[name] = table.types.at(name);
  }
  write_types(json, types);
  json.key("GlobalSecondaryIndexUpdates").begin_array();
  json.begin_object().key("Create");
  write_index(json, index, units);
  json.end_object().end_array().end_object();
  return body;
}

}  // namespace colloquy::store::dynamodb
