#include "cost/report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iomanip>
#include <sstream>
#include <vector>

#include "base/json_writer.h"

namespace colloquy::cost {
namespace {

std::string fixed(double value, int digits) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(digits) << value;
  return out.str();
}

// 1234567.5 with two digits: 1,234,567.50.
std::string grouped(double value, int digits) {
  auto text = fixed(value, digits);
  auto point = std::min(text.find('.'), text.size());
  for (auto at = point; at > 3; at -= 3) text.insert(at - 3, ",");
  return text;
}

std::string dollars(double value) { return "$" + grouped(value, 2); }

// As it is written in the price list: $0.25, $0.625, $0.00065.
std::string price(double value) {
  int digits = 2;
  while (digits < 6 && std::abs(value - std::stod(fixed(value, digits))) > 1e-9) ++digits;
  return "$" + fixed(value, digits);
}

std::string quantity(const Line& line) {
  return grouped(line.quantity, line.unit == "GB" ? 2 : 0) + " " + std::string(line.unit);
}

using Cells = std::array<std::string, 6>;

// Columns as wide as their widest cell; the first to the left, the others to the right.
std::string table(const std::vector<Cells>& rows) {
  std::array<std::size_t, 6> widths{};
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      std::string pad(widths[i] - row[i].size(), ' ');
      line += i == 0 ? row[i] + pad : "  " + pad + row[i];
    }
    out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return out;
}

bool of_requests(const Line& line) {
  return line.id == "writes" || line.id == "index_writes" || line.id == "reads";
}
bool of_stored(const Line& line) {
  return line.id == "storage" || line.id == "index_storage" || line.id == "recovery";
}

std::string when(const Estimate& estimate, const Month& month) {
  if (estimate.first.number == estimate.last.number) return "each month";
  bool stays = month.number == estimate.last.number && !estimate.grows_on;
  return "month " + std::to_string(month.number) + (stays ? " and later" : "");
}

Cells cells_of(const Line& line, const std::string& name, const std::string& document) {
  auto at_document = line.document_dollars();
  return {name,
          quantity(line),
          price(line.price) + " " + std::string(line.priced_for),
          dollars(line.dollars()),
          at_document ? dollars(*at_document) : "",
          document};
}

std::string about(std::optional<double> value) { return value ? "~" + dollars(*value) : ""; }

double document_requests(const Month& month) {
  double sum = 0;
  for (const auto& line : month.lines)
    sum += of_requests(line) ? line.document_dollars().value_or(0) : 0;
  return sum;
}

void add_stored(std::vector<Cells>& rows, const Estimate& estimate, const Month& month) {
  for (const auto& line : month.lines) {
    if (of_stored(line))
      rows.push_back(cells_of(line, std::string(line.name) + ", " + when(estimate, month), ""));
  }
}

std::string money_table(const Estimate& estimate) {
  const auto& first = estimate.first;
  const auto& last = estimate.last;
  bool same = first.number == last.number;
  // The document has no price for what is provisioned.
  bool comparable = estimate.load.mode == Mode::kOnDemand && estimate.document_tables;
  std::vector<Cells> rows{
      {"a month", "quantity", "price of", "dollars", "document's prices", "document"}};
  for (const auto& line : first.lines) {
    if (of_requests(line)) rows.push_back(cells_of(line, std::string(line.name), ""));
  }
  rows.push_back({"requests", "", "", dollars(first.requests_dollars()),
                  comparable ? dollars(document_requests(first)) : "",
                  about(estimate.document_tables)});
  add_stored(rows, estimate, first);
  if (!same) add_stored(rows, estimate, last);
  for (const auto& line : first.lines) {
    if (of_requests(line) || of_stored(line)) continue;
    rows.push_back(cells_of(line, std::string(line.name),
                            line.id == "volume" ? about(estimate.document_volume) : ""));
  }
  std::string document;
  if (estimate.document_tables)
    document = about(*estimate.document_tables + *estimate.document_volume);
  rows.push_back(
      {"total, " + when(estimate, first), "", "", dollars(first.dollars()), "", document});
  if (!same)
    rows.push_back(
        {"total, " + when(estimate, last), "", "", dollars(last.dollars()), "", document});
  return table(rows);
}

std::string load_text(const Estimate& estimate) {
  const auto& load = estimate.load;
  std::string out = grouped(load.users, 0) + " users, " + grouped(load.messages, 0) +
                    " messages of each a month (prompts and answers), " +
                    grouped(load.conversations, 1) + " conversations begun, " +
                    grouped(load.opens, 0) + " opened: " + grouped(estimate.turns, 0) + " turns.\n";
  out += "Prompts of " + grouped(load.prompt_bytes, 0) + " bytes, answers of " +
         grouped(load.answer_bytes, 0) + ", a context of " + grouped(load.context_messages, 0) +
         " messages, " + (load.secondary_indexes ? "with" : "without") +
         " the secondary indexes.\n";
  if (load.retention_days > 0) {
    out += "Conversations are kept for " + grouped(load.retention_days, 1) +
           " days; the tables hold messages for twice that.\n";
  } else {
    out += "Conversations are kept for good, so what is stored grows each month.\n";
  }
  if (load.mode == Mode::kProvisioned) {
    out += "Provisioned capacity, of which " + grouped(load.utilization * 100, 0) + "% are used.\n";
  }
  return out;
}

void write_units_json(JsonWriter& json, const RequestUnits& units) {
  json.begin_object().key("write").number(units.write);
  json.key("index_write").number(units.index_write).key("read").number(units.read).end_object();
}

void write_optional(JsonWriter& json, std::optional<double> value) {
  if (value) {
    json.number(*value);
  } else {
    json.null();
  }
}

void write_month(JsonWriter& json, const Month& month) {
  json.begin_object().key("month").integer(month.number).key("lines").begin_array();
  for (const auto& line : month.lines) {
    json.begin_object().key("id").string(line.id).key("quantity").number(line.quantity);
    json.key("unit")
        .string(line.unit)
        .key("price_dollars")
        .number(line.price)
        .key("price_of")
        .string(line.priced_for);
    json.key("dollars").number(line.dollars()).key("dollars_at_document_prices");
    write_optional(json, line.document_dollars());
    json.end_object();
  }
  json.end_array().key("requests_dollars").number(month.requests_dollars());
  json.key("total_dollars").number(month.dollars()).end_object();
}

void write_load(JsonWriter& json, const Load& load) {
  json.begin_object().key("users").number(load.users).key("messages").number(load.messages);
  json.key("conversations").number(load.conversations).key("opens").number(load.opens);
  json.key("prompt_bytes").number(load.prompt_bytes).key("answer_bytes").number(load.answer_bytes);
  json.key("context_messages")
      .number(load.context_messages)
      .key("retention_days")
      .number(load.retention_days);
  json.key("mode").string(load.mode == Mode::kOnDemand ? "on-demand" : "provisioned");
  json.key("utilization").number(load.utilization).key("files_gib").number(load.files_gib);
  json.key("snapshots_gib").number(load.snapshots_gib).key("recovery").boolean(load.recovery);
  json.key("secondary_indexes").boolean(load.secondary_indexes).end_object();
}

double per_thousand(const Estimate& estimate, double sum) { return sum / estimate.turns * 1000; }

}  // namespace

std::string to_text(const Estimate& estimate, const Units& units, const Prices& prices) {
  auto turn_text = [](const RequestUnits& turn) {
    return grouped(turn.write, 0) + " write units, " + grouped(turn.index_write, 0) +
           " of the indexes, " + grouped(turn.read, 0) + " read units";
  };
  std::string out = load_text(estimate);
  out += "\nA turn: " + turn_text(estimate.turn) +
         "; a first one: " + turn_text(estimate.first_turn) + ".\n";
  out += "Units measured on " + units.measured_on + " by bench/cost. Prices of " + prices.as_of +
         ": " + prices.name + "\n(" + prices.source + ").\n\n";
  out += money_table(estimate);
  const auto& last = estimate.last;
  out += "\n1,000 turns: $" + fixed(per_thousand(estimate, last.requests_dollars()), 4) +
         " of requests; $" + fixed(per_thousand(estimate, last.dollars()), 4) + " of all that " +
         when(estimate, last) + " costs.\n";
  if (estimate.document_tables) {
    out +=
        "The column \"document\" is the source document's example, in proportion to the messages "
        "and to the volume.\n";
  }
  out +=
      "Not here: the free tier, servers, network, keys, other requests (docs/cost.md has their "
      "units).\n";
  return out;
}

std::string to_json(const Estimate& estimate, const Units& units, const Prices& prices) {
  std::string out;
  JsonWriter json(out);
  json.begin_object().key("load");
  write_load(json, estimate.load);
  json.key("turns")
      .number(estimate.turns)
      .key("units")
      .begin_object()
      .key("measured_on")
      .string(units.measured_on);
  json.key("turn");
  write_units_json(json, estimate.turn);
  json.key("first_turn");
  write_units_json(json, estimate.first_turn);
  json.end_object().key("prices").begin_object().key("name").string(prices.name);
  json.key("as_of").string(prices.as_of).key("source").string(prices.source).end_object();
  json.key("first_month");
  write_month(json, estimate.first);
  json.key("last_month");
  write_month(json, estimate.last);
  json.key("grows_on").boolean(estimate.grows_on);
  json.key("requests_dollars_for_1000_turns")
      .number(per_thousand(estimate, estimate.last.requests_dollars()));
  json.key("dollars_for_1000_turns").number(per_thousand(estimate, estimate.last.dollars()));
  json.key("document").begin_object().key("tables_dollars");
  write_optional(json, estimate.document_tables);
  json.key("volume_dollars");
  write_optional(json, estimate.document_volume);
  json.end_object().end_object();
  return out + "\n";
}

}  // namespace colloquy::cost
