#include "auth/strict_json.h"

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <limits>

namespace colloquy::auth {
namespace {

namespace json = boost::json;

constexpr std::size_t kDepthMax = 16;

// Counts the members of all objects as they are written, before a tree merges
// those of one name. The interface is that of boost::json::basic_parser.
struct MemberCounter {
  static constexpr std::size_t max_object_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_array_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_key_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_string_size = std::numeric_limits<std::size_t>::max();
  using Code = json::error_code;
  using Text = json::string_view;

  std::size_t members = 0;

  bool on_document_begin(Code&) { return true; }
  bool on_document_end(Code&) { return true; }
  bool on_object_begin(Code&) { return true; }
  bool on_object_end(std::size_t count, Code&) {
    members += count;
    return true;
  }
  bool on_array_begin(Code&) { return true; }
  bool on_array_end(std::size_t, Code&) { return true; }
  bool on_key_part(Text, std::size_t, Code&) { return true; }
  bool on_key(Text, std::size_t, Code&) { return true; }
  bool on_string_part(Text, std::size_t, Code&) { return true; }
  bool on_string(Text, std::size_t, Code&) { return true; }
  bool on_number_part(Text, Code&) { return true; }
  bool on_int64(std::int64_t, Text, Code&) { return true; }
  bool on_uint64(std::uint64_t, Text, Code&) { return true; }
  bool on_double(double, Text, Code&) { return true; }
  bool on_bool(bool, Code&) { return true; }
  bool on_null(Code&) { return true; }
  bool on_comment_part(Text, Code&) { return true; }
  bool on_comment(Text, Code&) { return true; }
};

json::parse_options options() {
  json::parse_options result;
  result.max_depth = kDepthMax;
  return result;
}

std::size_t members_written(std::string_view text) {
  json::basic_parser<MemberCounter> parser(options());
  json::error_code error;
  parser.write_some(false, text.data(), text.size(), error);
  return parser.handler().members;
}

std::size_t members_in(const json::value& value) {
  std::size_t count = 0;
  if (const auto* object = value.if_object()) {
    count += object->size();
    for (const auto& member : *object) count += members_in(member.value());
  } else if (const auto* array = value.if_array()) {
    for (const auto& element : *array) count += members_in(element);
  }
  return count;
}

}  // namespace

std::optional<json::object> parse_strict_object(std::string_view text) {
  json::error_code error;
  json::value value = json::parse({text.data(), text.size()}, error, {}, options());
  if (error || !value.is_object()) return std::nullopt;
  if (members_written(text) != members_in(value)) return std::nullopt;
  return std::move(value.get_object());
}

const json::string* string_member(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains({name.data(), name.size()});
  return value == nullptr ? nullptr : value->if_string();
}

}  // namespace colloquy::auth
