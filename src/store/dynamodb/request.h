// The body of one call, put together. In an expression `#name` stands for the attribute `name`,
// whatever words the service reserves. Not thread-safe.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/json_writer.h"
#include "store/types.h"

namespace colloquy::store::dynamodb {

class Request {
 public:
  explicit Request(const std::string& table);
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  Request& conversation_key(const UserId& user, const ConversationId& id);
  Request& message_key(std::string_view hash, std::string_view range);
  // `write` writes one object into the JsonWriter that it is given.
  template <class Write>
  Request& item(Write write) {
    json_.key("Item");
    write(json_);
    return *this;
  }

  Request& condition(std::string_view text) { return expression("ConditionExpression", text); }
  Request& update(std::string_view text) { return expression("UpdateExpression", text); }
  Request& key_condition(std::string_view text) {
    return expression("KeyConditionExpression", text);
  }
  Request& projection(std::string_view text) { return expression("ProjectionExpression", text); }
  // Takes an item that is there for one server until `until_s`, unless another has it at `now_s`;
  // `attribute` holds until when.
  Request& claim(const std::string& attribute, std::int64_t now_s, std::int64_t until_s);
  // What `:name` in an expression stands for.
  Request& string(std::string_view name, std::string_view value);
  Request& number(std::string_view name, std::int64_t value);
  Request& boolean(std::string_view name, bool value);
  Request& binary(std::string_view name, std::string_view bytes);
  Request& strings(std::string_view name, const Metadata& pairs);

  Request& set(std::string_view member, std::string_view value);  // "ReturnValues", "ALL_NEW"
  Request& set(std::string_view member, const char* value) {
    return set(member, std::string_view(value));
  }
  Request& set(std::string_view member, bool value);
  Request& set(std::string_view member, std::int64_t value);
  Request& raw(std::string_view member, std::string_view json);

  std::string take();              // once
  std::string take_conditional();  // also asks for the item that a condition refuses

 private:
  Request& expression(std::string_view member, std::string_view text);

  std::string body_;
  JsonWriter json_;
  std::string values_;
  JsonWriter values_json_;
  std::set<std::string, std::less<>> names_;
};

}  // namespace colloquy::store::dynamodb
