#include "keys_command.h"

#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <cstdlib>
#include <memory>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "base/progress_line.h"
#include "encryption.h"
#include "keyring/dynamodb/table_key_storage.h"
#include "run_to_end.h"
#include "tables_access.h"
#include "telemetry/metrics.h"

namespace colloquy {
namespace {

// Where nothing says that the keys are in a table, they may as well be in a folder.
bool names_a_table(const config::KeysConfig& config) {
  for (const auto& setting : config::keys_settings()) {
    if (setting.name.starts_with("dynamodb-") && config.sources.has(setting.name)) return true;
  }
  return false;
}

// Does what a rotation of keys in a table begins with.
template <class Work>
auto reaching_table(const config::KeysConfig& config, const Work& work) {
  try {
    return work();
  } catch (const Error& error) {
    if (names_a_table(config)) throw;
    throw Error(error.code(),
                "--keyring is needed, the folder of the users' keys, as the server has it. Without "
                "it they are taken for those in a table of DynamoDB: " +
                    error.message(),
                error.detail());
  }
}

int rotate(const config::KeysConfig& config, TablesAccess* tables, const Clock& clock,
           boost::asio::io_context& loop, std::ostream& out) {
  KeysAccess keys(config.encryption, config.sources, config.dynamodb,
                  tables != nullptr ? &tables->client() : nullptr, clock, loop.get_executor());
  auto look = [&] {
    auto id = run_to_end(loop, keys.storage().id(false));
    loop.restart();
    const auto& folder = config.encryption.keyring;
    if (!id.empty()) return id;
    throw Error(ErrorCode::kInvalid, "There is no keyring" +
                                         (folder.empty() ? std::string() : " in " + folder) +
                                         " yet: a server makes it.");
  };
  const auto id = tables != nullptr ? reaching_table(config, look) : look();
  keyring::Keyring keyring(id, keys.storage(), keys.masters(), clock);
  ProgressLine line(out, isatty(STDOUT_FILENO) == 1);
  auto progress = [&line](std::uint64_t done) {
    if (line.due()) line.show(std::to_string(done) + " keys");
  };
  line.begin();
  auto rotation = run_to_end(loop, keyring.rotate(progress));
  loop.restart();
  auto master = run_to_end(loop, keys.masters().current());
  line.end(std::to_string(rotation.wrapped_anew) + " keys were wrapped anew with " + master + ", " +
           std::to_string(rotation.as_they_were) + " were already.");
  if (rotation.failed == 0) return EXIT_SUCCESS;
  std::string failures = std::to_string(rotation.failed) + " could not be wrapped anew:";
  for (const auto& failure : rotation.failures) failures += "\n  " + failure;
  if (rotation.failures.size() < rotation.failed) failures += "\n  …";
  throw Error(ErrorCode::kInvalid, failures);
}

}  // namespace

int run_keys(const config::KeysCommand& command, std::ostream& out) {
  using Action = config::KeysCommand::Action;
  const auto& config = command.config;
  if (command.action == Action::kCreate) {
    out << keyring::make_master_key() << "\n";
    return EXIT_SUCCESS;
  }
  boost::asio::io_context loop;
  SystemClock clock;
  telemetry::Metrics metrics;
  auto open_tables = [&] {
    return std::make_unique<TablesAccess>(config.dynamodb, clock, metrics, loop.get_executor());
  };
  std::unique_ptr<TablesAccess> tables;
  if (command.action == Action::kCreateTable) {
    tables = open_tables();
  } else if (config.encryption.keyring.empty()) {
    tables = reaching_table(config, open_tables);
  }
  if (command.action == Action::kRotate) return rotate(config, tables.get(), clock, loop, out);
  keyring::TableKeyStorage storage(config.encryption.keys_table, tables->client());
  run_to_end(loop, storage.create());
  out << "The table " << config.encryption.keys_table << " is ready.\n";
  return EXIT_SUCCESS;
}

}  // namespace colloquy
