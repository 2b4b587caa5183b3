#include "tables_command.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "keyring/dynamodb/table_key_storage.h"
#include "run_to_end.h"
#include "store/dynamodb/tables.h"
#include "tables_access.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace colloquy {
namespace {

namespace asio = boost::asio;
namespace dynamodb = store::dynamodb;
using Severity = dynamodb::Finding::Severity;

// How long a server that starts waits for the service.
constexpr std::chrono::seconds kStartBound{10};

// The command as a person would paste it, for the same tables.
std::string command_line(const char* action, const config::DynamoDbConfig& config) {
  const dynamodb::TableNames usual;
  std::string line = std::string("colloquy tables ") + action;
  auto add = [&line](const char* flag, const std::string& value, const std::string& if_not) {
    if (value != if_not) line += std::string(" ") + flag + " " + value;
  };
  add("--dynamodb-endpoint", config.endpoint, "");
  add("--dynamodb-region", config.region, "");
  add("--dynamodb-conversations-table", config.conversations_table, usual.conversations);
  add("--dynamodb-messages-table", config.messages_table, usual.messages);
  if (config.updated_index) line += " --updated-index";
  return line;
}

bool has_error(const std::vector<dynamodb::Finding>& findings) {
  return std::any_of(findings.begin(), findings.end(),
                     [](const auto& finding) { return finding.severity == Severity::kError; });
}

int print_findings(const std::vector<dynamodb::Finding>& findings,
                   const config::DynamoDbConfig& config, std::ostream& out) {
  bool create_helps = false;
  for (const auto& finding : findings) {
    out << (finding.severity == Severity::kError ? "error:   " : "warning: ") << finding.table
        << ": " << finding.text << "\n";
    create_helps = create_helps || finding.create_helps;
  }
  if (create_helps) out << "What is missing is made by: " << command_line("create", config) << "\n";
  if (has_error(findings)) return EXIT_FAILURE;
  out << "The tables are what they must be.\n";
  return EXIT_SUCCESS;
}

// What a server that does not start says of the tables.
std::string refusal(const std::vector<dynamodb::Finding>& findings,
                    const config::DynamoDbConfig& config) {
  std::string text = "--store dynamodb: the tables are not what they must be";
  bool create_helps = false;
  for (const auto& finding : findings) {
    if (finding.severity != Severity::kError) continue;
    text += "\n  " + finding.table + ": " + finding.text;
    create_helps = create_helps || finding.create_helps;
  }
  if (create_helps) return text + "\nMake them by: " + command_line("create", config);
  return text + "\nSee all that is wrong by: " + command_line("check", config);
}

// Runs the task on the loop, for as long as a start may take.
template <class Result>
Result at_start(Task<Result> task, dynamodb::Client& client, asio::io_context& loop) {
  auto result = asio::co_spawn(loop, std::move(task), asio::use_future);
  auto give_up = std::chrono::steady_clock::now() + kStartBound;
  const std::string where = "--store dynamodb at " + client.endpoint() + ": ";
  while (!is_ready(result) && std::chrono::steady_clock::now() < give_up) {
    loop.run_one_until(give_up);
  }
  loop.restart();  // it may have run dry
  if (!is_ready(result)) throw config::ConfigError(where + "the service does not answer");
  try {
    return result.get();
  } catch (const Error& error) {
    throw config::ConfigError(where + error.message() + " (" + error.detail() + ")");
  }
}

// After another run of the loop.
template <class Result>
Result run_again(asio::io_context& loop, Task<Result> task) {
  loop.restart();
  return run_to_end(loop, std::move(task));
}

}  // namespace

int run_tables(const config::TablesCommand& command, std::ostream& out) {
  using Action = config::TablesCommand::Action;
  const auto& config = command.config.dynamodb;
  asio::io_context loop;
  SystemClock clock;
  telemetry::Metrics metrics;
  TablesAccess access(config, clock, metrics, loop.get_executor());
  auto names = table_names(config);
  dynamodb::TableOptions options;
  options.secondary_indexes = command.config.secondary_indexes;
  options.updated_index = config.updated_index;
  if (command.action == Action::kCreate) {
    auto say = [&out](const std::string& text) { out << text << std::endl; };
    run_to_end(loop, dynamodb::create_tables(access.client(), names, options, say));
    if (!command.config.keys_table.empty()) {
      keyring::TableKeyStorage keys(command.config.keys_table, access.client());
      run_again(loop, keys.create());
    }
    out << "The tables are ready.\n";
    return EXIT_SUCCESS;
  }
  if (command.action == Action::kDescribe) {
    out << run_to_end(loop, dynamodb::describe_tables(access.client(), names));
    return EXIT_SUCCESS;
  }
  auto findings = run_to_end(
      loop, dynamodb::check_tables(access.client(), names, options, dynamodb::CheckFor::kOperator));
  if (!command.config.keys_table.empty()) {
    keyring::TableKeyStorage keys(command.config.keys_table, access.client());
    for (auto& fault : run_again(loop, keys.faults())) {
      findings.push_back({Severity::kError, command.config.keys_table, std::move(fault), false});
    }
  }
  return print_findings(findings, config, out);
}

void prepare_tables(store::DynamoDbStore& store, dynamodb::Client& client, asio::io_context& loop) {
  at_start(store.prepare(), client, loop);
}

void require_tables(dynamodb::Client& client, const config::DynamoDbConfig& config,
                    asio::io_context& loop) {
  dynamodb::TableOptions options;
  options.secondary_indexes = false;  // nothing of the server's reads them
  options.updated_index = config.updated_index;
  auto findings = at_start(
      dynamodb::check_tables(client, table_names(config), options, dynamodb::CheckFor::kServing),
      client, loop);
  if (has_error(findings)) throw config::ConfigError(refusal(findings, config));
  for (const auto& finding : findings) {
    telemetry::log_warning("tables.unusual", {{"table", finding.table}, {"detail", finding.text}});
  }
}

}  // namespace colloquy
