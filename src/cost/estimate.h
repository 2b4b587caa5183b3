// What a service on DynamoDB costs a month, from its load, the measured units and the prices. Pure;
// any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cost/figures.h"

namespace colloquy::cost {

enum class Mode { kOnDemand, kProvisioned };

struct Load {
  double users = 0;
  double messages = 0;       // of each user a month, prompts and answers: two are a turn
  double conversations = 0;  // begun by each user a month; at most half of the messages
  double opens = 0;  // by each user a month: a list of 50 conversations, and one with 20 messages
  double prompt_bytes =
      0;  // of each content; at most 300,000, since longer ones are written in parts
  double answer_bytes = 0;
  double context_messages = 0;
  double retention_days = 0;  // 0: kept for good
  Mode mode = Mode::kOnDemand;
  double utilization = 1;  // provisioned: which part of what is paid is used, over 0 and up to 1
  double files_gib = 0;    // the volume of users' files
  double snapshots_gib = 0;
  bool recovery = true;  // point-in-time recovery of the tables
  bool secondary_indexes = true;
};

// One line of the bill.
struct Line {
  std::string_view id;
  std::string_view name;
  double quantity = 0;
  std::string_view unit;
  double times = 0;  // dollars are quantity × times × price
  double price = 0;
  std::string_view priced_for;
  std::optional<double> document_price;  // what the source document names for the same
  double dollars() const { return quantity * times * price; }
  std::optional<double> document_dollars() const;
};

struct Month {
  int number = 0;  // from 1
  std::vector<Line> lines;
  double requests_dollars() const;  // the lines without storage, recovery and the volume
  double dollars() const;
};

struct Estimate {
  Load load;
  double turns = 0;   // of all users a month
  RequestUnits turn;  // the units of one that is not its conversation's first
  RequestUnits first_turn;
  // The first, and the one at whose end nothing more is added, or, where nothing expires, the
  // twelfth.
  Month first;
  Month last;
  bool grows_on = false;
  // The source document's example for as many messages, and for such a volume.
  std::optional<double> document_tables;
  std::optional<double> document_volume;
};

// `load` is within its bounds. What is stored at the end of a month is reckoned as there for all of
// it.
Estimate estimate(const Load& load, const Units& units, const PriceTable& prices);

}  // namespace colloquy::cost
