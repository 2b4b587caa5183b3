// What an estimate is made from: the measured units, and the prices, each from one JSON file with
// its date. Values; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace colloquy::cost {

// DynamoDB's units of one request: writes of the tables, writes of their secondary indexes, reads.
struct RequestUnits {
  double write = 0;
  double index_write = 0;
  double read = 0;
};

// What bench/cost measured (bench/units.json), with contents of prompt_bytes and answer_bytes.
struct Units {
  std::string measured_on;  // a date, RFC 3339
  std::int64_t context_messages = 0;
  std::int64_t prompt_bytes = 0;  // of the content alone
  std::int64_t answer_bytes = 0;
  std::int64_t prompt_item_bytes = 0;  // of the whole item
  std::int64_t answer_item_bytes = 0;
  std::int64_t conversation_item_bytes = 0;
  std::int64_t stored_overhead_bytes =
      0;  // of each item that is stored, and of each entry of an index
  std::int64_t message_index_bytes = 0;
  std::int64_t conversation_index_bytes = 0;
  RequestUnits turn;
  RequestUnits first_turn;  // which makes its conversation
  RequestUnits turn_of_long_answers;
  std::int64_t long_answer_bytes = 0;
  RequestUnits list;          // of 50 conversations
  RequestUnits conversation;  // read with its 20 messages
};

// US dollars.
struct Prices {
  std::string name;    // the region and what it is of
  std::string as_of;   // a date, RFC 3339
  std::string source;  // who says so
  double million_write_units = 0;
  double million_read_units = 0;
  double write_capacity_unit_hour = 0;
  double read_capacity_unit_hour = 0;
  double storage_gb_month = 0;
  double recovery_gb_month = 0;  // point-in-time recovery
  double volume_gb_month = 0;
  double snapshot_gb_month = 0;
};

// The prices that the source document names, and its example.
struct SourceDocument {
  double million_write_units = 0;
  double million_read_units = 0;
  double volume_gb_month = 0;
  double snapshot_gb_month = 0;
  std::int64_t users = 0;
  std::int64_t messages = 0;  // of each
  double tables_month = 0;
  double volume_gb = 0;
  double volume_month = 0;
};

struct PriceTable {
  Prices current;
  std::optional<SourceDocument> source_document;
};

// These take a file's text. `where` is its name for the error. Throw Error (kInvalid), which names
// the field that is missing, no number, or below zero.
Units parse_units(std::string_view text, const std::string& where);
PriceTable parse_prices(std::string_view text, const std::string& where);

// Those that the program was built with.
const Units& built_in_units();
const PriceTable& built_in_prices();

}  // namespace colloquy::cost
