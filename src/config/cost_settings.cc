// The settings of `colloquy cost`.
#include "base/limits.h"
#include "config/setting_makers.h"

namespace colloquy::config {
namespace {

// Their products stay exact in a double.
constexpr std::size_t kMostUsers = 1'000'000'000;
constexpr std::size_t kMostMessages = 1'000'000;
// Longer contents are written in parts, which cost otherwise (docs/cost.md).
constexpr std::size_t kMostBytes = 300'000;
constexpr std::size_t kMostGib = 1'000'000;

auto number(std::size_t CostConfig::*field, std::size_t least, std::size_t most) {
  return [=](CostConfig& c, const std::string& v) { c.*field = parse_number(v, least, most); };
}

auto on_or_off(bool CostConfig::*field) {
  return [field](CostConfig& c, const std::string& v) {
    if (v != "on" && v != "off") throw ConfigError("must be on or off");
    c.*field = v == "on";
  };
}

void apply_mode(CostConfig& config, const std::string& value) {
  if (value != "on-demand" && value != "provisioned") {
    throw ConfigError("must be on-demand or provisioned");
  }
  config.provisioned = value == "provisioned";
}

}  // namespace

const std::vector<Setting<CostConfig>>& cost_settings() {
  static const std::vector<Setting<CostConfig>> table{
      {"Cost", "users", "10000", "Users of the service.", false,
       number(&CostConfig::users, 1, kMostUsers)},
      {"Cost", "messages", "100",
       "Messages of each user a month, prompts and answers: two are a turn.", false,
       number(&CostConfig::messages, 1, kMostMessages)},
      {"Cost", "conversations", "",
       "Conversations that each user begins a month; default: one for ten messages.", false,
       [](CostConfig& c, const std::string& v) {
         if (!v.empty()) c.conversations = parse_number(v, 0, kMostMessages);
       }},
      {"Cost", "opens", "0",
       "How often a month each user lists 50 conversations and reads one with 20 messages.", false,
       number(&CostConfig::opens, 0, kMostMessages)},
      {"Cost", "prompt-bytes", "120", "Length of a prompt.", false,
       number(&CostConfig::prompt_bytes, 1, kMostBytes)},
      {"Cost", "answer-bytes", "400", "Length of an answer.", false,
       number(&CostConfig::answer_bytes, 1, kMostBytes)},
      {"Cost", "context-messages", "5", "How many of the newest messages a turn reads.", false,
       number(&CostConfig::context_messages, 0, limits::kContextMessagesMax)},
      {"Cost", "retention", "90d",
       "How long conversations are kept after their last activity; 0s: for good.", false,
       duration(&CostConfig::retention, 0, 10LL * 365)},
      {"Cost", "mode", "on-demand", "How the tables are billed: on-demand or provisioned.", false,
       apply_mode},
      {"Cost", "utilization", "20",
       "Percent of the provisioned capacity that the month uses; the rest is for its busy hours.",
       false, number(&CostConfig::utilization_percent, 1, 100)},
      {"Cost", "files-gib", "100", "Size of the volume of users' files.", false,
       number(&CostConfig::files_gib, 0, kMostGib)},
      {"Cost", "snapshots-gib", "0", "What its snapshots hold.", false,
       number(&CostConfig::snapshots_gib, 0, kMostGib)},
      {"Cost", "pitr", "on", "Point-in-time recovery of the tables: on or off.", false,
       on_or_off(&CostConfig::pitr)},
      {"Cost", "no-secondary-indexes", "false",
       "Tables without UserCreatedIndex and ConversationTimeIndex.", false,
       [](CostConfig& c, const std::string& v) { c.secondary_indexes = !parse_boolean(v); }, true},
      {"Cost", "prices", "",
       "File with other prices, in the form of bench/prices.json; default: those that the program "
       "was built with.",
       false, text(&CostConfig::prices)},
      {"Cost", "json", "false", "Print one JSON object.", false,
       [](CostConfig& c, const std::string& v) { c.json = parse_boolean(v); }, true},
  };
  return table;
}

}  // namespace colloquy::config
