#include "store/dynamodb/attributes.h"

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include "base/base64.h"
#include "base/error.h"
#include "base/parse_number.h"

namespace colloquy::store::dynamodb {
namespace {

std::string_view view(const boost::json::string& text) { return {text.data(), text.size()}; }

}  // namespace

AttributeWriter& AttributeWriter::string(std::string_view name, std::string_view value) {
  json_.key(name).begin_object().key("S").string(value).end_object();
  return *this;
}

AttributeWriter& AttributeWriter::uuid(std::string_view name, const Uuid& value) {
  json_.key(name).begin_object().key("S").uuid(value).end_object();
  return *this;
}

AttributeWriter& AttributeWriter::number(std::string_view name, std::int64_t value) {
  json_.key(name).begin_object().key("N").string(std::to_string(value)).end_object();
  return *this;
}

AttributeWriter& AttributeWriter::boolean(std::string_view name, bool value) {
  json_.key(name).begin_object().key("BOOL").boolean(value).end_object();
  return *this;
}

AttributeWriter& AttributeWriter::binary(std::string_view name, std::string_view bytes) {
  json_.key(name).begin_object().key("B").string(base64_encode(bytes)).end_object();
  return *this;
}

AttributeWriter& AttributeWriter::strings(std::string_view name, const Metadata& pairs) {
  json_.key(name).begin_object().key("M").begin_object();
  for (const auto& [key, value] : pairs) {
    json_.data_key(key).begin_object().key("S").string(value).end_object();
  }
  json_.end_object().end_object();
  return *this;
}

AttributeWriter& AttributeWriter::list(std::string_view name,
                                       const std::vector<std::string>& texts) {
  json_.key(name).begin_object().key("L").begin_array();
  for (const auto& text : texts) json_.begin_object().key("S").string(text).end_object();
  json_.end_array().end_object();
  return *this;
}

void AttributeReader::fail(std::string_view name, std::string_view how) {
  throw internal_error("attribute " + std::string(name) + " of an item " + std::string(how));
}

const boost::json::value* AttributeReader::find(std::string_view name,
                                                std::string_view type) const {
  const auto* attribute = item_.if_contains(name);
  if (attribute == nullptr) return nullptr;
  const auto* wrapped = attribute->if_object();
  if (wrapped == nullptr) fail(name, "is garbled");
  const auto* value = wrapped->if_contains(type);
  if (value == nullptr) fail(name, "is of another type than " + std::string(type));
  return value;
}

std::optional<std::string> AttributeReader::string(std::string_view name) const {
  const auto* value = find(name, "S");
  if (value == nullptr) return std::nullopt;
  const auto* text = value->if_string();
  if (text == nullptr) fail(name, "is garbled");
  return std::string(view(*text));
}

std::optional<std::int64_t> AttributeReader::number(std::string_view name) const {
  const auto* value = find(name, "N");
  if (value == nullptr) return std::nullopt;
  const auto* text = value->if_string();
  if (text == nullptr) fail(name, "is garbled");
  auto number = parse_number<std::int64_t>(view(*text));
  if (!number) fail(name, "is no whole number");
  return number;
}

std::optional<bool> AttributeReader::boolean(std::string_view name) const {
  const auto* value = find(name, "BOOL");
  if (value == nullptr) return std::nullopt;
  const auto* flag = value->if_bool();
  if (flag == nullptr) fail(name, "is garbled");
  return *flag;
}

std::optional<std::string> AttributeReader::binary(std::string_view name) const {
  const auto* value = find(name, "B");
  if (value == nullptr) return std::nullopt;
  const auto* text = value->if_string();
  auto bytes = text == nullptr ? std::nullopt : base64_decode(view(*text));
  if (!bytes) fail(name, "is garbled");
  return bytes;
}

std::optional<Metadata> AttributeReader::strings(std::string_view name) const {
  const auto* value = find(name, "M");
  if (value == nullptr) return std::nullopt;
  const auto* object = value->if_object();
  if (object == nullptr) fail(name, "is garbled");
  Metadata pairs;
  for (const auto& member : *object) {
    auto text = AttributeReader(*object).string(std::string_view(member.key()));
    pairs.emplace(std::string_view(member.key()), std::move(*text));
  }
  return pairs;
}

std::optional<std::vector<std::string>> AttributeReader::list(std::string_view name) const {
  const auto* value = find(name, "L");
  if (value == nullptr) return std::nullopt;
  const auto* elements = value->if_array();
  if (elements == nullptr) fail(name, "is garbled");
  std::vector<std::string> texts;
  for (const auto& element : *elements) {
    const auto* wrapped = element.if_object();
    const auto* text = wrapped == nullptr ? nullptr : wrapped->if_contains("S");
    if (text == nullptr || !text->is_string()) fail(name, "has an element that is no text");
    texts.emplace_back(view(text->get_string()));
  }
  return texts;
}

std::optional<std::string> AttributeReader::readable_string(std::string_view name) const {
  try {
    return string(name);
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::optional<std::int64_t> AttributeReader::readable_number(std::string_view name) const {
  try {
    return number(name);
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::string AttributeReader::required_string(std::string_view name) const {
  auto value = string(name);
  if (!value) fail(name, "is missing");
  return std::move(*value);
}

std::int64_t AttributeReader::required_number(std::string_view name) const {
  auto value = number(name);
  if (!value) fail(name, "is missing");
  return *value;
}

}  // namespace colloquy::store::dynamodb
