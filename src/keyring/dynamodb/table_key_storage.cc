#include "keyring/dynamodb/table_key_storage.h"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>

#include "base/base64.h"
#include "base/error.h"
#include "base/parse_number.h"
#include "base/pause.h"
#include "base/text.h"
#include "keyring/data_key.h"
#include "store/dynamodb/table_description.h"
#include "store/dynamodb/table_shape.h"

namespace colloquy::keyring {
namespace {

namespace json = boost::json;
using store::dynamodb::Refusal;
using store::dynamodb::ServiceError;

constexpr const char* kIdName = "keyring";
constexpr int kPageItems = 200;
constexpr int kCreateTries = 300;
constexpr auto kCreatePause = std::chrono::milliseconds(1'000);

json::object string(std::string_view text) { return {{"S", text}}; }
json::object key_of(std::string_view name) { return {{"name", string(name)}}; }

Error damaged(const std::string& table) {
  return internal_error("an item of the table " + table + " is no key");
}

std::string text_at(const json::object& item, std::string_view name, const char* type = "S") {
  const auto* attribute = item.if_contains(name);
  const auto* value = attribute != nullptr && attribute->is_object()
                          ? attribute->get_object().if_contains(type)
                          : nullptr;
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

json::object item_of(const std::string& name, const KeyRecord& record) {
  json::object item = key_of(name);
  item["key_id"] = string(to_hex(record.key_id));
  item["master"] = string(record.wrapped.master);
  item["wrapped"] = string(base64_encode(record.wrapped.bytes));
  item["made_at"] = json::object{{"N", std::to_string(record.made_at_s)}};
  return item;
}

KeyRecord record_of(const std::string& table, const json::object& item) {
  KeyRecord record;
  auto id = from_hex(text_at(item, "key_id"));
  auto bytes = base64_decode(text_at(item, "wrapped"));
  auto made_at_s = parse_number<std::int64_t>(text_at(item, "made_at", "N"));
  record.wrapped.master = text_at(item, "master");
  bool good = id && id->size() == kKeyIdBytes && bytes && !bytes->empty() && made_at_s;
  if (!good) throw damaged(table);
  record.made_at_s = *made_at_s;
  record.key_id = std::move(*id);
  record.wrapped.bytes = std::move(*bytes);
  return record;
}

}  // namespace

Task<json::object> TableKeyStorage::call(std::string operation, json::object body) {
  body["TableName"] = table_;
  try {
    auto answer = co_await client_.call(operation, json::serialize(body));
    co_return std::move(answer.body);
  } catch (const ServiceError& error) {
    if (error.refusal() == Refusal::kConditionFailed || error.refusal() == Refusal::kInUse) throw;
    throw unavailable("The keys cannot be reached right now.",
                      operation + " of the table " + table_ + ": " + error.what());
  }
}

Task<bool> TableKeyStorage::put(json::object item, std::string condition, json::object values) {
  json::object body;
  body["Item"] = std::move(item);
  body["ConditionExpression"] = condition;
  body["ExpressionAttributeNames"] = json::object{{"#name", "name"}};
  if (!values.empty()) {
    body["ExpressionAttributeNames"] = json::object{{"#wrapped", "wrapped"}};
    body["ExpressionAttributeValues"] = std::move(values);
  }
  try {
    co_await call("PutItem", std::move(body));
    co_return true;
  } catch (const ServiceError&) {
    co_return false;
  }
}

Task<> TableKeyStorage::create() {
  json::object body;
  body["BillingMode"] = "PAY_PER_REQUEST";
  body["AttributeDefinitions"] =
      json::array{json::object{{"AttributeName", "name"}, {"AttributeType", "S"}}};
  body["KeySchema"] = json::array{json::object{{"AttributeName", "name"}, {"KeyType", "HASH"}}};
  try {
    co_await call("CreateTable", std::move(body));
  } catch (const ServiceError&) {
    // It is there, or is being made.
  }
  for (int tries = 0; tries < kCreateTries; ++tries) {
    auto answer = co_await call("DescribeTable", {});
    const auto* table = answer.if_contains("Table");
    const auto* status = table != nullptr && table->is_object()
                             ? table->get_object().if_contains("TableStatus")
                             : nullptr;
    if (status != nullptr && *status == "ACTIVE") co_return;
    co_await pause(kCreatePause);
  }
  throw unavailable("The table of the keys is not ready yet.", table_);
}

Task<std::vector<std::string>> TableKeyStorage::faults() {
  const store::dynamodb::TableShape shape{table_, {"name", ""}, {{"name", "S"}}, {}};
  std::vector<std::string> faults;
  try {
    auto there = co_await store::dynamodb::describe_table(client_, table_);
    if (!there) {
      faults.emplace_back("it is not there; it is made by: colloquy keys create-table");
      co_return faults;
    }
    faults = store::dynamodb::wrong_keys(shape, *there);
    bool usable = there->status == "ACTIVE" || there->status == "UPDATING";
    if (!usable) faults.push_back("it is " + there->status);
    auto removal = co_await store::dynamodb::describe_time_to_live(client_, table_);
    if (removal.on()) {
      faults.push_back("its time to live, on the attribute " + removal.attribute +
                       ", must be off: a key that goes takes all that its user wrote with it");
    }
  } catch (const ServiceError&) {
    co_return faults;
  }
  co_return faults;
}

Task<std::string> TableKeyStorage::id(bool make) {
  json::object look;
  look["Key"] = key_of(kIdName);
  look["ConsistentRead"] = true;
  for (int tries = 0; tries < 2; ++tries) {
    auto answer = co_await call("GetItem", look);
    const auto* item = answer.if_contains("Item");
    if (item != nullptr && item->is_object()) {
      auto id = text_at(item->get_object(), "id");
      if (id.size() != make_keyring_id().size()) throw damaged(table_);
      co_return id;
    }
    if (!make || tries > 0) break;
    auto fresh = key_of(kIdName);
    fresh["id"] = string(make_keyring_id());
    co_await put(std::move(fresh), "attribute_not_exists(#name)", {});
  }
  co_return std::string();
}

Task<std::optional<KeyRecord>> TableKeyStorage::find(std::string name) {
  json::object body;
  body["Key"] = key_of(name);
  body["ConsistentRead"] = true;
  auto answer = co_await call("GetItem", std::move(body));
  const auto* item = answer.if_contains("Item");
  if (item == nullptr || !item->is_object()) co_return std::nullopt;
  co_return record_of(table_, item->get_object());
}

Task<bool> TableKeyStorage::put_new(std::string name, KeyRecord record) {
  co_return co_await put(item_of(name, record), "attribute_not_exists(#name)", {});
}

Task<bool> TableKeyStorage::replace(std::string name, KeyRecord before, KeyRecord after) {
  json::object values;
  values[":before"] = string(base64_encode(before.wrapped.bytes));
  co_return co_await put(item_of(name, after), "#wrapped = :before", std::move(values));
}

Task<bool> TableKeyStorage::erase(std::string name, std::string key_id) {
  json::object body;
  body["Key"] = key_of(name);
  body["ReturnValues"] = "ALL_OLD";
  if (!key_id.empty()) {
    body["ConditionExpression"] = "attribute_not_exists(#key_id) OR #key_id = :key_id";
    body["ExpressionAttributeNames"] = json::object{{"#key_id", "key_id"}};
    body["ExpressionAttributeValues"] = json::object{{":key_id", string(to_hex(key_id))}};
  }
  try {
    auto answer = co_await call("DeleteItem", std::move(body));
    co_return answer.if_contains("Attributes") != nullptr;
  } catch (const ServiceError&) {
    co_return false;
  }
}

Task<KeyPage> TableKeyStorage::list(std::string position) {
  json::object body;
  body["Limit"] = kPageItems;
  body["ConsistentRead"] = true;
  if (!position.empty()) body["ExclusiveStartKey"] = key_of(position);
  auto answer = co_await call("Scan", std::move(body));
  KeyPage page;
  const auto* items = answer.if_contains("Items");
  if (items == nullptr || !items->is_array()) throw damaged(table_);
  for (const auto& item : items->get_array()) {
    if (!item.is_object()) throw damaged(table_);
    auto name = text_at(item.get_object(), "name");
    if (name == kIdName) continue;
    try {
      page.records.emplace_back(name, record_of(table_, item.get_object()));
    } catch (const Error&) {
      page.damaged.push_back("the item " + name + " of the table " + table_ + " is no key");
    }
  }
  const auto* next = answer.if_contains("LastEvaluatedKey");
  if (next != nullptr && next->is_object()) page.next = text_at(next->get_object(), "name");
  co_return page;
}

}  // namespace colloquy::keyring
