#include "restore_tables_command.h"

#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>
#include <utility>

#include "backup/erased_list.h"
#include "backup/moment.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/progress_line.h"
#include "run_to_end.h"
#include "store/dynamodb/restored_rows.h"
#include "store/dynamodb/table_restore.h"
#include "tables_access.h"
#include "telemetry/metrics.h"

namespace colloquy {
namespace {

namespace dynamodb = store::dynamodb;
using config::ConfigError;

constexpr std::int64_t kSecondMs = 1000;

std::int64_t second_of(const config::RestoreConfig& config) {
  auto at_ms = backup::parse_moment(config.at);
  const auto named = config.sources.of("at") + " \"" + config.at + "\"";
  if (!at_ms) {
    throw ConfigError(named + " is no moment such as " + std::string(backup::kMomentForm));
  }
  if (*at_ms % kSecondMs != 0)
    throw ConfigError(named + " is no whole second, as DynamoDB has them");
  return *at_ms / kSecondMs;
}

// What is waited for on one line that is drawn again; what was done in lines of its own.
class Told {
 public:
  explicit Told(std::ostream& out) : out_(out) {}

  dynamodb::RestoreTold functions() {
    dynamodb::RestoreTold told;
    told.say = [this](const std::string& text) { say(text); };
    told.waiting = [this](const std::string& text) {
      waiting_ = text;
      if (line_.due()) line_.show(text);
    };
    return told;
  }
  void say(const std::string& text) {
    end();
    out_ << text << std::endl;
  }
  void end() {
    if (!waiting_.empty() && line_.terminal()) line_.end(waiting_);
    waiting_.clear();
  }

 private:
  std::ostream& out_;
  ProgressLine line_{std::cerr, isatty(STDERR_FILENO) == 1};
  std::string waiting_;
};

std::optional<std::int64_t> seconds_of(const std::optional<std::chrono::milliseconds>& duration) {
  if (!duration) return std::nullopt;
  return duration->count() / kSecondMs;
}

void print(const dynamodb::RestoreRecord& done, const dynamodb::TableNames& to, bool keep_expired,
           std::ostream& out) {
  out << "conversations: " << done.conversations << "\n";
  out << "left out:      " << done.left_out << " of erased users\n";
  if (keep_expired) out << "kept:          " << done.kept << " that have expired since\n";
  out << "Start the servers with --dynamodb-conversations-table " << to.conversations
      << " --dynamodb-messages-table " << to.messages << "\n";
}

}  // namespace

int restore_tables(const config::RestoreConfig& config, std::ostream& out) {
  SystemClock clock;
  RandomIdSource ids;
  telemetry::Metrics metrics;
  dynamodb::TableRestore restore;
  restore.at_s = second_of(config);
  restore.from = table_names(config.dynamodb);
  restore.to = {config.prefix + restore.from.conversations + config.suffix,
                config.prefix + restore.from.messages + config.suffix};
  restore.give_up = std::chrono::steady_clock::now() + config.wait;
  dynamodb::RestoredRowsOptions options;
  options.keep_expired = config.keep_expired;
  options.retention_seconds = seconds_of(config.retention);
  backup::ErasedList erased;
  if (!config.erased.empty()) erased.read_file(config.erased);
  options.erased = erased.users();

  boost::asio::io_context loop;
  TablesAccess access(config.dynamodb, clock, metrics, loop.get_executor());
  auto& client = access.client();
  Told told(out);
  run_to_end(loop, dynamodb::restore_tables(client, restore, told.functions()));
  dynamodb::RestoredRows rows(client, restore, std::move(options), clock, ids, metrics,
                              told.functions());
  if (!run_to_end(loop, rows.begin())) {
    told.say("This restore has ended before: nothing was changed.");
    return EXIT_SUCCESS;
  }
  run_to_end(loop, rows.amend());
  told.end();
  run_to_end(loop, dynamodb::set_up_restored_tables(client, restore, told.functions()));
  auto done = run_to_end(loop, rows.end());
  told.end();
  print(done, restore.to, config.keep_expired, out);
  return EXIT_SUCCESS;
}

}  // namespace colloquy
