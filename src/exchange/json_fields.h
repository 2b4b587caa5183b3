// Fields of a JSON object from a file, of which nothing is sure. What is there and of another kind
// counts as not there, unless said otherwise. Pure; any thread.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace colloquy::exchange {

const boost::json::object* object_at(const boost::json::object& from, std::string_view name);
const boost::json::array* array_at(const boost::json::object& from, std::string_view name);
std::optional<std::string> string_at(const boost::json::object& from, std::string_view name);
bool boolean_at(const boost::json::object& from, std::string_view name);
std::optional<std::int64_t> integer_at(const boost::json::object& from, std::string_view name);
// Unix seconds, of a number of seconds (with a fraction or not), milliseconds or less, down to
// nanoseconds; the last second of the year 9999 for what is later. What cannot be a time is none.
std::optional<std::int64_t> time_at(const boost::json::object& from, std::string_view name);

}  // namespace colloquy::exchange
