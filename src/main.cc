// The command line: which command, with which settings.
#include <csignal>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "backup_command.h"
#include "base/error.h"
#include "config/config.h"
#include "cost_command.h"
#include "keys_command.h"
#include "migrate_command.h"
#include "restore_tables_command.h"
#include "serve.h"
#include "tables_command.h"

namespace {

using Arguments = std::vector<std::string>;
using colloquy::config::Environment;

constexpr const char* kHelp =
    "Colloquy keeps the conversations of language models' users.\n"
    "\n"
    "  colloquy serve …      start the server (colloquy serve --help lists its settings)\n"
    "  colloquy token …      print a bearer token for the embedded default\n"
    "  colloquy migrate …    move all conversations from one store into another\n"
    "  colloquy tables create|check|describe …\n"
    "                        make the tables in DynamoDB, or compare them with what they must be\n"
    "  colloquy keys create|create-table|rotate …\n"
    "                        make a master key or the table of users' keys, or wrap them anew\n"
    "  colloquy backup …     back up the embedded store, while a server runs on it or not\n"
    "  colloquy restore …    make a data folder, or new tables, as the store was at any second\n"
    "  colloquy verify …     prove that a backup can be restored\n"
    "  colloquy cost …       print what a month on DynamoDB costs\n"
    "  colloquy settings     print every setting as Markdown\n"
    "  colloquy --version    print the version\n"
    "\n"
    "First steps:\n"
    "\n"
    "  colloquy serve --data ./data\n"
    "  colloquy token --data ./data --user alice\n";

int run_serve(const Arguments& arguments) {
  auto config = colloquy::config::parse_serve(arguments, Environment::of_process(), std::cout);
  return config ? colloquy::serve(*config, COLLOQUY_VERSION, std::cout) : EXIT_SUCCESS;
}

int run_token(const Arguments& arguments) {
  auto config = colloquy::config::parse_token(arguments, Environment::of_process(), std::cout);
  return config ? colloquy::print_token(*config, std::cout) : EXIT_SUCCESS;
}

int run_migrate(const Arguments& arguments) {
  auto config = colloquy::config::parse_migrate(arguments, Environment::of_process(), std::cout);
  return config ? colloquy::migrate_stores(*config, std::cout) : EXIT_SUCCESS;
}

int run_tables(const Arguments& arguments) {
  auto command = colloquy::config::parse_tables(arguments, Environment::of_process(), std::cout);
  return command ? colloquy::run_tables(*command, std::cout) : EXIT_SUCCESS;
}

int run_keys(const Arguments& arguments) {
  auto command = colloquy::config::parse_keys(arguments, Environment::of_process(), std::cout);
  return command ? colloquy::run_keys(*command, std::cout) : EXIT_SUCCESS;
}

int run_backup(const Arguments& arguments) {
  auto config = colloquy::config::parse_backup(arguments, Environment::of_process(), std::cout);
  return config ? colloquy::back_up(*config, std::cout) : EXIT_SUCCESS;
}

int run_restore(const Arguments& arguments) {
  auto config = colloquy::config::parse_restore(arguments, Environment::of_process(), std::cout);
  if (!config) return EXIT_SUCCESS;
  bool tables = config->store == colloquy::config::StoreKind::kDynamoDb;
  return tables ? colloquy::restore_tables(*config, std::cout)
                : colloquy::restore_backup(*config, std::cout);
}

int run_verify(const Arguments& arguments) {
  auto config = colloquy::config::parse_verify(arguments, Environment::of_process(), std::cout);
  return config ? colloquy::verify_backup(*config, std::cout) : EXIT_SUCCESS;
}

int run_cost(const Arguments& arguments) {
  auto config = colloquy::config::parse_cost(arguments, Environment::of_process(), std::cout);
  return config ? colloquy::print_cost(*config, std::cout) : EXIT_SUCCESS;
}

int print(const std::string& text) {
  std::cout << text;
  return EXIT_SUCCESS;
}

// `./run --version` asks `serve`.
bool asks_for_version(const Arguments& arguments) {
  return arguments.size() == 2 && arguments.back() == "--version" &&
         (arguments.front() == "serve" || arguments.front() == "token");
}

int run(const Arguments& arguments) {
  const std::map<std::string, std::function<int(const Arguments&)>> commands{
      {"serve", run_serve},
      {"token", run_token},
      {"migrate", run_migrate},
      {"tables", run_tables},
      {"keys", run_keys},
      {"backup", run_backup},
      {"restore", run_restore},
      {"verify", run_verify},
      {"cost", run_cost},
      {"settings", [](const Arguments&) { return print(colloquy::config::settings_markdown()); }},
      {"--version", [](const Arguments&) { return print("colloquy " COLLOQUY_VERSION "\n"); }},
      {"--help", [](const Arguments&) { return print(kHelp); }},
      {"-h", [](const Arguments&) { return print(kHelp); }},
  };
  if (arguments.empty()) {
    std::cerr << kHelp;
    return EXIT_FAILURE;
  }
  auto command = commands.find(asks_for_version(arguments) ? "--version" : arguments.front());
  if (command == commands.end()) {
    throw colloquy::config::ConfigError("\"" + arguments.front() +
                                        "\" is no command; colloquy --help lists them");
  }
  return command->second(Arguments(arguments.begin() + 1, arguments.end()));
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // NOLINT(cert-err33-c): a write's own error is enough
  try {
    return run(Arguments(argv + 1, argv + argc));
  } catch (const colloquy::Error& error) {
    // Its message is for the clients of a server; here, what happened is for who reads.
    if (error.code() == colloquy::ErrorCode::kInternal && !error.detail().empty()) {
      std::cerr << "colloquy: " << error.detail() << "\n";
      return EXIT_FAILURE;
    }
    std::cerr << "colloquy: " << error.message();
    for (const auto& field : error.fields())
      std::cerr << " " << field.field << " " << field.message;
    if (!error.detail().empty()) std::cerr << " (" << error.detail() << ")";
    std::cerr << "\n";
  } catch (const std::exception& error) {
    std::cerr << "colloquy: " << error.what() << "\n";
  }
  return EXIT_FAILURE;
}
