#include "cost/estimate.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace colloquy::cost {
namespace {

constexpr double kWriteUnitBytes = 1024;
constexpr double kReadUnitBytes = 4096;
constexpr double kHours = 730;  // of a month, as Amazon bills it
constexpr double kDays = kHours / 24;
constexpr double kGigabyte = 1e9;
constexpr int kYear = 12;  // months
constexpr double kPageMessages = 20;

double write_units(double bytes) { return std::ceil(bytes / kWriteUnitBytes); }
double read_units(double bytes) { return std::ceil(bytes / kReadUnitBytes); }

// The items of a turn.
struct Items {
  double prompt = 0;
  double answer = 0;
  double conversation = 0;

  // Those of the newest `count` messages: an answer, a prompt, and so on.
  double messages(double count) const {
    return std::ceil(count / 2) * answer + std::floor(count / 2) * prompt;
  }
  double written() const {
    return write_units(prompt) + write_units(answer) + write_units(conversation);
  }
  double read(double count) const { return read_units(conversation) + read_units(messages(count)); }
};

Items measured_items(const Units& units) {
  return {static_cast<double>(units.prompt_item_bytes),
          static_cast<double>(units.answer_item_bytes),
          static_cast<double>(units.conversation_item_bytes)};
}

Items items_of(const Load& load, const Units& units) {
  auto items = measured_items(units);
  items.prompt += load.prompt_bytes - static_cast<double>(units.prompt_bytes);
  items.answer += load.answer_bytes - static_cast<double>(units.answer_bytes);
  return items;
}

// What was measured, and as many units more or fewer as the items weigh. The context is reckoned as
// full.
struct Requests {
  RequestUnits turn;
  RequestUnits first_turn;
  double open_read = 0;
};

Requests requests_of(const Load& load, const Units& units) {
  const auto measured = measured_items(units);
  const auto items = items_of(load, units);
  const auto context = static_cast<double>(units.context_messages);
  Requests requests{units.turn, units.first_turn, units.list.read + units.conversation.read};
  double more_written = items.written() - measured.written();
  requests.turn.write += more_written;
  requests.first_turn.write += more_written;
  requests.turn.read += items.read(load.context_messages) - measured.read(context);
  requests.open_read += items.read(kPageMessages) - measured.read(kPageMessages);
  if (load.secondary_indexes) return requests;
  requests.turn.index_write = 0;
  requests.first_turn.index_write = 0;
  return requests;
}

// Capacity of one kind: as much as leaves `utilization` of it used, and one unit of each table or
// index at least.
double capacity(double units_a_month, double utilization, double least) {
  return std::max(least, std::ceil(units_a_month / (kHours * 3600) / utilization));
}

class Bill {
 public:
  Bill(const Load& load, const Units& units, const PriceTable& prices)
      : load_(load), units_(units), prices_(prices), requests_(requests_of(load, units)) {
    turns_ = load.users * load.messages / 2;
    conversations_ = load.users * load.conversations;
  }

  double turns() const { return turns_; }
  const Requests& requests() const { return requests_; }

  Month month(int number) const {
    Month month{number, {}};
    if (load_.mode == Mode::kOnDemand) {
      add_on_demand(month);
    } else {
      add_provisioned(month);
    }
    add_storage(month);
    return month;
  }

  // Those that an item is in the tables for: its `ttl` is so many periods of the retention after
  // its last write (docs/dynamodb.md). Infinite where nothing expires.
  double months_of_messages() const { return stored_months(2 * load_.retention_days); }
  double months_of_conversations() const { return stored_months(3 * load_.retention_days + 1); }

 private:
  double stored_months(double days) const {
    return load_.retention_days > 0 ? days / kDays : INFINITY;
  }

  RequestUnits monthly() const {
    auto later = turns_ - conversations_;
    const auto& [turn, first, open_read] = requests_;
    return {
        later * turn.write + conversations_ * first.write,
        later * turn.index_write + conversations_ * first.index_write,
        later * turn.read + conversations_ * first.read + load_.users * load_.opens * open_read};
  }

  void add_on_demand(Month& month) const {
    const auto& now = prices_.current;
    const auto units = monthly();
    auto add = [&](std::string_view id, std::string_view name, double count, double price,
                   double SourceDocument::*document) {
      month.lines.push_back(
          {id, name, count, "units", 1e-6, price, "a million", document_price(document)});
    };
    add("writes", "writes of the tables", units.write, now.million_write_units,
        &SourceDocument::million_write_units);
    add("index_writes", "writes of their indexes", units.index_write, now.million_write_units,
        &SourceDocument::million_write_units);
    add("reads", "reads", units.read, now.million_read_units, &SourceDocument::million_read_units);
  }

  void add_provisioned(Month& month) const {
    const auto& now = prices_.current;
    const auto units = monthly();
    // Two tables, and two indexes, which nobody reads and which have a unit each all the same.
    double indexes = load_.secondary_indexes ? 2 : 0;
    auto add = [&](std::string_view id, std::string_view name, double count, double least,
                   double price) {
      month.lines.push_back({id, name, least > 0 ? capacity(count, load_.utilization, least) : 0,
                             "a second", kHours, price, "an hour", std::nullopt});
    };
    add("writes", "writes of the tables", units.write, 2, now.write_capacity_unit_hour);
    add("index_writes", "writes of their indexes", units.index_write, indexes,
        now.write_capacity_unit_hour);
    add("reads", "reads", units.read, 2 + indexes, now.read_capacity_unit_hour);
  }

  void add_storage(Month& month) const {
    const auto& now = prices_.current;
    const auto items = items_of(load_, units_);
    const auto overhead = static_cast<double>(units_.stored_overhead_bytes);
    double turns = turns_ * std::min<double>(month.number, months_of_messages());
    double conversations =
        conversations_ * std::min<double>(month.number, months_of_conversations());
    double tables = turns * (items.prompt + items.answer + 2 * overhead) +
                    conversations * (items.conversation + overhead);
    double indexes =
        2 * turns * (static_cast<double>(units_.message_index_bytes) + overhead) +
        conversations * (static_cast<double>(units_.conversation_index_bytes) + overhead);
    auto add = [&](std::string_view id, std::string_view name, double gigabytes, double price,
                   std::optional<double> document = std::nullopt) {
      month.lines.push_back({id, name, gigabytes, "GB", 1, price, "a GB", document});
    };
    add("storage", "storage of the tables", tables / kGigabyte, now.storage_gb_month);
    add("index_storage", "storage of their indexes",
        load_.secondary_indexes ? indexes / kGigabyte : 0, now.storage_gb_month);
    add("recovery", "point-in-time recovery", load_.recovery ? tables / kGigabyte : 0,
        now.recovery_gb_month);
    add("volume", "volume of files", load_.files_gib, now.volume_gb_month,
        document_price(&SourceDocument::volume_gb_month));
    add("snapshots", "its snapshots", load_.snapshots_gib, now.snapshot_gb_month,
        document_price(&SourceDocument::snapshot_gb_month));
  }

  std::optional<double> document_price(double SourceDocument::*price) const {
    if (!prices_.source_document) return std::nullopt;
    return (*prices_.source_document).*price;
  }

  const Load& load_;
  const Units& units_;
  const PriceTable& prices_;
  Requests requests_;
  double turns_ = 0;
  double conversations_ = 0;
};

}  // namespace

std::optional<double> Line::document_dollars() const {
  if (!document_price) return std::nullopt;
  return quantity * times * *document_price;
}

double Month::requests_dollars() const {
  double sum = 0;
  for (const auto& line : lines) {
    if (line.id == "writes" || line.id == "index_writes" || line.id == "reads")
      sum += line.dollars();
  }
  return sum;
}

double Month::dollars() const {
  double sum = 0;
  for (const auto& line : lines) sum += line.dollars();
  return sum;
}

Estimate estimate(const Load& load, const Units& units, const PriceTable& prices) {
  Bill bill(load, units, prices);
  Estimate made;
  made.load = load;
  made.turns = bill.turns();
  made.turn = bill.requests().turn;
  made.first_turn = bill.requests().first_turn;
  made.grows_on = load.retention_days <= 0;
  double full =
      made.grows_on
          ? kYear
          : std::ceil(std::max(bill.months_of_messages(), bill.months_of_conversations()));
  made.first = bill.month(1);
  made.last = bill.month(static_cast<int>(full));
  if (const auto& document = prices.source_document) {
    double example = static_cast<double>(document->users) * static_cast<double>(document->messages);
    made.document_tables = document->tables_month * load.users * load.messages / example;
    made.document_volume = document->volume_month * load.files_gib / document->volume_gb;
  }
  return made;
}

}  // namespace colloquy::cost
