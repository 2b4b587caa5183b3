// Writes JSON (RFC 8259) straight into a string: no tree in between, so that a
// reply of many messages is built once. Input strings must be valid UTF-8.
//
//   JsonWriter json(out);
//   json.begin_object().key("title").string(title).key("count").integer(3).end_object();
//
// Not thread-safe. The caller keeps begin and end in pairs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace colloquy {

class JsonWriter {
 public:
  // Appends to `out`, which outlives the writer.
  explicit JsonWriter(std::string& out) : out_(out) {}

  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_array() { return open('['); }
  JsonWriter& end_array() { return close(']'); }
  // `name` is written as it is: a literal that needs no escaping.
  JsonWriter& key(std::string_view name);
  // A key that comes from data and is escaped.
  JsonWriter& data_key(std::string_view name);
  JsonWriter& string(std::string_view value);
  JsonWriter& uuid(const Uuid& value);
  JsonWriter& integer(std::int64_t value);
  JsonWriter& number(double value);  // null where it is not finite
  JsonWriter& boolean(bool value);
  JsonWriter& null();
  // Appends a value that is JSON already.
  JsonWriter& raw(std::string_view json);

 private:
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  void separate() {
    if (need_comma_) out_.push_back(',');
    need_comma_ = true;
  }

  std::string& out_;
  bool need_comma_ = false;
};

// Appends `value` to `out` as a JSON string with its quotes.
void append_json_string(std::string& out, std::string_view value);

}  // namespace colloquy
