#include "cost_command.h"

#include <chrono>
#include <cstdlib>
#include <ostream>

#include "base/read_file.h"
#include "cost/report.h"

namespace colloquy {
namespace {

constexpr std::size_t kPricesBytesMax = 64UL * 1024;

cost::Load load_of(const config::CostConfig& config) {
  using Days = std::chrono::duration<double, std::ratio<86400>>;
  auto number = [](std::size_t value) { return static_cast<double>(value); };
  cost::Load load;
  load.users = number(config.users);
  load.messages = number(config.messages);
  load.conversations = config.conversations ? number(*config.conversations) : load.messages / 10;
  load.opens = number(config.opens);
  load.prompt_bytes = number(config.prompt_bytes);
  load.answer_bytes = number(config.answer_bytes);
  load.context_messages = number(config.context_messages);
  load.retention_days = Days(config.retention).count();
  load.mode = config.provisioned ? cost::Mode::kProvisioned : cost::Mode::kOnDemand;
  load.utilization = number(config.utilization_percent) / 100;
  load.files_gib = number(config.files_gib);
  load.snapshots_gib = number(config.snapshots_gib);
  load.recovery = config.pitr;
  load.secondary_indexes = config.secondary_indexes;
  return load;
}

}  // namespace

int print_cost(const config::CostConfig& config, std::ostream& out) {
  auto prices = cost::built_in_prices();
  if (!config.prices.empty()) {
    auto given = cost::parse_prices(read_file(config.prices, kPricesBytesMax).text, config.prices);
    prices.current = given.current;
    if (given.source_document) prices.source_document = given.source_document;
  }
  const auto& units = cost::built_in_units();
  const auto estimate = cost::estimate(load_of(config), units, prices);
  out << (config.json ? cost::to_json(estimate, units, prices.current)
                      : cost::to_text(estimate, units, prices.current));
  return EXIT_SUCCESS;
}

}  // namespace colloquy
