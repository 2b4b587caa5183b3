#include "cost/figures.h"

#include <boost/json.hpp>
#include <cmath>

#include "base/error.h"
#include "cost/built_in.h"

namespace colloquy::cost {
namespace {

namespace json = boost::json;

// An object of the file, with its place for errors.
class Table {
 public:
  Table(const json::value& value, std::string place) : place_(std::move(place)) {
    if (!value.is_object()) refuse(" must be an object");
    object_ = &value.get_object();
  }

  Table table(std::string_view name) const { return {at(name), within(name)}; }

  bool has(std::string_view name) const { return object_->contains(name); }

  std::string text(std::string_view name) const {
    const auto& value = at(name);
    if (!value.is_string() || value.get_string().empty())
      refuse(": " + std::string(name) + " must be a text");
    return std::string(value.get_string());
  }

  double number(std::string_view name) const {
    const auto& value = at(name);
    double number = value.is_number() ? value.to_number<double>() : -1;
    if (!std::isfinite(number) || number < 0 || number > kMost) {
      refuse(": " + std::string(name) + " must be a number, not below zero");
    }
    return number;
  }

  std::int64_t whole(std::string_view name) const {
    double value = number(name);
    if (value != std::floor(value)) refuse(": " + std::string(name) + " must be a whole number");
    return static_cast<std::int64_t>(value);
  }

  RequestUnits units(std::string_view name) const {
    auto request = table(name);
    return {request.number("write"), request.number("index_write"), request.number("read")};
  }

 private:
  static constexpr double kMost = 1e9;  // no price or size is near it, and no sum overflows

  const json::value& at(std::string_view name) const {
    const auto* value = object_->if_contains(name);
    if (value == nullptr) refuse(" has no " + std::string(name));
    return *value;
  }

  std::string within(std::string_view name) const { return place_ + ": " + std::string(name); }

  [[noreturn]] void refuse(const std::string& what) const {
    throw Error(ErrorCode::kInvalid, place_ + what);
  }

  std::string place_;
  const json::object* object_ = nullptr;
};

json::value parse(std::string_view text, const std::string& where) {
  json::error_code error;
  auto value = json::parse(text, error);
  if (error) throw Error(ErrorCode::kInvalid, where + " is not JSON: " + error.message());
  return value;
}

}  // namespace

Units parse_units(std::string_view text, const std::string& where) {
  const auto value = parse(text, where);
  Table file(value, where);
  Units units;
  units.measured_on = file.text("measured_on");
  units.context_messages = file.whole("context_messages");
  units.prompt_bytes = file.table("prompt").whole("content_bytes");
  units.prompt_item_bytes = file.table("prompt").whole("item_bytes");
  units.answer_bytes = file.table("answer").whole("content_bytes");
  units.answer_item_bytes = file.table("answer").whole("item_bytes");
  units.conversation_item_bytes = file.table("conversation").whole("item_bytes");
  units.stored_overhead_bytes = file.whole("stored_overhead_bytes");
  units.message_index_bytes = file.whole("message_index_bytes");
  units.conversation_index_bytes = file.whole("conversation_index_bytes");
  auto requests = file.table("requests");
  units.turn = requests.units("turn");
  units.first_turn = requests.units("first_turn");
  units.turn_of_long_answers = requests.units("turn_of_long_answers");
  units.long_answer_bytes = requests.table("turn_of_long_answers").whole("answer_content_bytes");
  units.list = requests.units("list_of_50_conversations");
  units.conversation = requests.units("conversation_of_20_messages");
  return units;
}

PriceTable parse_prices(std::string_view text, const std::string& where) {
  const auto value = parse(text, where);
  Table file(value, where);
  auto current = file.table("current");
  PriceTable prices;
  prices.current = {
      .name = current.text("name"),
      .as_of = current.text("as_of"),
      .source = current.text("source"),
      .million_write_units = current.number("write_request_units_million"),
      .million_read_units = current.number("read_request_units_million"),
      .write_capacity_unit_hour = current.number("write_capacity_unit_hour"),
      .read_capacity_unit_hour = current.number("read_capacity_unit_hour"),
      .storage_gb_month = current.number("storage_gb_month"),
      .recovery_gb_month = current.number("point_in_time_recovery_gb_month"),
      .volume_gb_month = current.number("volume_gb_month"),
      .snapshot_gb_month = current.number("snapshot_gb_month"),
  };
  if (!file.has("source_document")) return prices;
  auto document = file.table("source_document");
  auto example = document.table("example");
  prices.source_document = {
      .million_write_units = document.number("write_request_units_million"),
      .million_read_units = document.number("read_request_units_million"),
      .volume_gb_month = document.number("volume_gb_month"),
      .snapshot_gb_month = document.number("snapshot_gb_month"),
      .users = example.whole("users"),
      .messages = example.whole("messages"),
      .tables_month = example.number("tables_month"),
      .volume_gb = example.number("volume_gb"),
      .volume_month = example.number("volume_month"),
  };
  const auto& shown = *prices.source_document;
  if (shown.users == 0 || shown.messages == 0 || shown.volume_gb == 0) {
    throw Error(ErrorCode::kInvalid,
                where + ": the source document's example must have users, messages and a volume");
  }
  return prices;
}

const Units& built_in_units() {
  static const Units units = parse_units(kUnitsFile, "bench/units.json");
  return units;
}

const PriceTable& built_in_prices() {
  static const PriceTable prices = parse_prices(kPricesFile, "bench/prices.json");
  return prices;
}

}  // namespace colloquy::cost
