// Reads the JSON object that a client sent, field by field, and refuses what is
// not asked for: a misspelled field is never silently ignored.
//
//   Body body(request);
//   auto title = body.optional_string("title");
//   body.finish();                       // throws kInvalid, naming the bad fields
//
// Errors of the constructor: kUnsupportedMedia (not JSON by its Content-Type),
// kMalformed (not JSON, not an object). For one request on one event loop.
#pragma once

#include <boost/json/object.hpp>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "http/message.h"

namespace colloquy::api {

class Body {
 public:
  enum class Empty : std::uint8_t { kRefused, kIsEmptyObject };
  explicit Body(const http::Request& request, Empty empty = Empty::kRefused);

  // Each notes a field of the wrong type and returns nullopt for it.
  std::optional<std::string> optional_string(std::string_view name);
  std::string required_string(std::string_view name);
  std::optional<bool> optional_boolean(std::string_view name);
  std::optional<std::int64_t> optional_integer(std::string_view name, std::int64_t least,
                                               std::int64_t most);
  std::optional<double> optional_number(std::string_view name, double least, double most);
  // A string, or an array of at most `most` strings.
  std::vector<std::string> string_or_strings(std::string_view name, std::size_t most,
                                             std::size_t most_bytes);
  // An object whose values are strings; null is a value of its own only where `nulls` is given, and
  // then the keys that are null are put there.
  std::optional<std::map<std::string, std::string>> string_map(
      std::string_view name, std::set<std::string>* nulls = nullptr);
  // An object with fields of its own, which are read from it in the same way, and then given to
  // `take_errors_of`. In what is told they are "name.field".
  std::optional<Body> optional_object(std::string_view name);
  void take_errors_of(Body part);
  // An array of at most `most` such objects; in what is told "name[0].field".
  std::vector<Body> objects(std::string_view name, std::size_t most);
  bool has(std::string_view name) const;
  bool is_null(std::string_view name);

  // A field's name may be of the client's making: past kFieldNameBytes it is cut, between two
  // characters.
  void refuse(const std::string& field, std::string message);
  // Throws kInvalid when a field was refused, or when there is one that nobody has read. It names
  // the first kNamedFields of them; its message says how many more there are.
  void finish();

  static constexpr std::size_t kNamedFields = 32;
  static constexpr std::size_t kFieldNameBytes = 128;

 private:
  Body(boost::json::object object, std::string prefix)
      : object_(std::move(object)), prefix_(std::move(prefix)) {}
  const boost::json::value* find(std::string_view name);
  void refuse_unread();

  boost::json::object object_;
  std::string prefix_;  // of the names of its fields
  std::set<std::string, std::less<>> read_;
  std::vector<FieldError> errors_;  // at most kNamedFields
  std::size_t unnamed_errors_ = 0;  // those beyond them
};

}  // namespace colloquy::api
