#include "store/dynamodb/request.h"

#include <utility>

#include "store/dynamodb/attributes.h"

namespace colloquy::store::dynamodb {
namespace {

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

}  // namespace

Request::Request(const std::string& table) : json_(body_), values_json_(values_) {
  json_.begin_object().key("TableName").string(table);
  json_.key("ReturnConsumedCapacity").string("INDEXES");
  values_json_.begin_object();
}

Request& Request::conversation_key(const UserId& user, const ConversationId& id) {
  json_.key("Key").begin_object();
  AttributeWriter(json_).string("user_id", user.value()).uuid("conversation_id", id.uuid());
  json_.end_object();
  return *this;
}

Request& Request::message_key(std::string_view hash, std::string_view range) {
  json_.key("Key").begin_object();
  AttributeWriter(json_).string("conversation_id", hash).string("message_id", range);
  json_.end_object();
  return *this;
}

Request& Request::expression(std::string_view member, std::string_view text) {
  json_.key(member).string(text);
  for (std::size_t at = text.find('#'); at != std::string_view::npos; at = text.find('#', at)) {
    auto begin = ++at;
    while (at < text.size() && is_name_character(text[at])) ++at;
    names_.emplace(text.substr(begin, at - begin));
  }
  return *this;
}

Request& Request::claim(const std::string& attribute, std::int64_t now_s, std::int64_t until_s) {
  update("SET #" + attribute + " = :until");
  condition("attribute_exists(#conversation_id) AND (attribute_not_exists(#" + attribute +
            ") OR #" + attribute + " <= :now)");
  return number(":now", now_s).number(":until", until_s);
}

Request& Request::string(std::string_view name, std::string_view value) {
  AttributeWriter(values_json_).string(name, value);
  return *this;
}

Request& Request::number(std::string_view name, std::int64_t value) {
  AttributeWriter(values_json_).number(name, value);
  return *this;
}

Request& Request::boolean(std::string_view name, bool value) {
  AttributeWriter(values_json_).boolean(name, value);
  return *this;
}

Request& Request::binary(std::string_view name, std::string_view bytes) {
  AttributeWriter(values_json_).binary(name, bytes);
  return *this;
}

Request& Request::strings(std::string_view name, const Metadata& pairs) {
  AttributeWriter(values_json_).strings(name, pairs);
  return *this;
}

Request& Request::set(std::string_view member, std::string_view value) {
  json_.key(member).string(value);
  return *this;
}

Request& Request::set(std::string_view member, bool value) {
  json_.key(member).boolean(value);
  return *this;
}

Request& Request::set(std::string_view member, std::int64_t value) {
  json_.key(member).integer(value);
  return *this;
}

Request& Request::raw(std::string_view member, std::string_view json) {
  json_.key(member).raw(json);
  return *this;
}

std::string Request::take_conditional() {
  set("ReturnValuesOnConditionCheckFailure", "ALL_OLD");
  return take();
}

std::string Request::take() {
  if (!names_.empty()) {
    json_.key("ExpressionAttributeNames").begin_object();
    for (const auto& name : names_) json_.data_key("#" + name).string(name);
    json_.end_object();
  }
  values_json_.end_object();
  if (values_.size() > 2) json_.key("ExpressionAttributeValues").raw(values_);
  json_.end_object();
  return std::move(body_);
}

}  // namespace colloquy::store::dynamodb
