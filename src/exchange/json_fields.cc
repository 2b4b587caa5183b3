#include "exchange/json_fields.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <cmath>

namespace colloquy::exchange {
namespace {

constexpr double kLatest = 253'402'300'799.0;  // the end of the year 9999

std::optional<double> number_of(const boost::json::value& value) {
  if (value.is_int64()) return static_cast<double>(value.get_int64());
  if (value.is_uint64()) return static_cast<double>(value.get_uint64());
  if (value.is_double() && std::isfinite(value.get_double())) return value.get_double();
  return std::nullopt;
}

}  // namespace

const boost::json::object* object_at(const boost::json::object& from, std::string_view name) {
  const auto* value = from.if_contains(name);
  return value == nullptr ? nullptr : value->if_object();
}

const boost::json::array* array_at(const boost::json::object& from, std::string_view name) {
  const auto* value = from.if_contains(name);
  return value == nullptr ? nullptr : value->if_array();
}

std::optional<std::string> string_at(const boost::json::object& from, std::string_view name) {
  const auto* value = from.if_contains(name);
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return std::string(value->get_string());
}

bool boolean_at(const boost::json::object& from, std::string_view name) {
  const auto* value = from.if_contains(name);
  return value != nullptr && value->is_bool() && value->get_bool();
}

std::optional<std::int64_t> integer_at(const boost::json::object& from, std::string_view name) {
  const auto* value = from.if_contains(name);
  if (value == nullptr || !value->is_int64()) return std::nullopt;
  return value->get_int64();
}

std::optional<std::int64_t> time_at(const boost::json::object& from, std::string_view name) {
  const auto* value = from.if_contains(name);
  auto number = value == nullptr ? std::nullopt : number_of(*value);
  if (!number || *number < 0) return std::nullopt;
  // Some write milliseconds, some microseconds or nanoseconds.
  for (int units = 0; units < 3 && *number > kLatest; ++units) *number /= 1000;
  return static_cast<std::int64_t>(std::min(*number, kLatest));
}

}  // namespace colloquy::exchange
