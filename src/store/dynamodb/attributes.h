// Items of DynamoDB, written as its JSON and read from it. The service wraps every value in an
// object that names its type, and sends numbers as strings: {"title": {"S": "…"}, "ttl": {"N":
// "7"}}. Not thread-safe.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/json_writer.h"
#include "store/types.h"

namespace colloquy::store::dynamodb {

// Writes attributes into an object that the caller begins and ends.
class AttributeWriter {
 public:
  explicit AttributeWriter(JsonWriter& json) : json_(json) {}

  AttributeWriter& string(std::string_view name, std::string_view value);
  AttributeWriter& uuid(std::string_view name, const Uuid& value);
  AttributeWriter& number(std::string_view name, std::int64_t value);
  AttributeWriter& boolean(std::string_view name, bool value);
  AttributeWriter& binary(std::string_view name, std::string_view bytes);
  AttributeWriter& strings(std::string_view name, const Metadata& pairs);
  AttributeWriter& list(std::string_view name, const std::vector<std::string>& texts);

 private:
  JsonWriter& json_;
};

// Reads the attributes of one item, which may have been written by somebody else. What is not there
// is nullopt; of another type than it must be, kInternal naming the attribute.
class AttributeReader {
 public:
  explicit AttributeReader(const boost::json::object& item) : item_(item) {}

  std::optional<std::string> string(std::string_view name) const;
  std::optional<std::int64_t> number(std::string_view name) const;
  std::optional<bool> boolean(std::string_view name) const;
  std::optional<std::string> binary(std::string_view name) const;
  std::optional<Metadata> strings(std::string_view name) const;
  std::optional<std::vector<std::string>> list(std::string_view name) const;

  // nullopt also where it is there and cannot be read.
  std::optional<std::string> readable_string(std::string_view name) const;
  std::optional<std::int64_t> readable_number(std::string_view name) const;

  // What every such item has; kInternal where it is not there.
  std::string required_string(std::string_view name) const;
  std::int64_t required_number(std::string_view name) const;

  template <class Id>
  std::optional<Id> id(std::string_view name) const {
    auto text = string(name);
    if (!text) return std::nullopt;
    auto id = Id::parse(*text);
    if (!id) fail(name, "is no version 7 UUID");
    return id;
  }
  template <class Id>
  Id required_id(std::string_view name) const {
    auto found = id<Id>(name);
    if (!found) fail(name, "is missing");
    return *found;
  }

 private:
  const boost::json::value* find(std::string_view name, std::string_view type) const;
  [[noreturn]] static void fail(std::string_view name, std::string_view how);

  const boost::json::object& item_;
};

}  // namespace colloquy::store::dynamodb
