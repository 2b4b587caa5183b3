#include "config/config.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <map>
#include <ostream>
#include <sstream>

#include "config/combinations.h"
#include "config/values.h"

namespace colloquy::config {
namespace {

struct Value {
  std::string text;
  std::string source;  // in the words that an error uses
  bool given = true;   // not the default
};

// Kubernetes sets variables such as COLLOQUY_PORT_8080_TCP for a service of that name.
bool is_service_link(const std::string& name) {
  return name == "COLLOQUY_PORT" || name.find("_SERVICE_HOST") != std::string::npos ||
         name.find("_SERVICE_PORT") != std::string::npos ||
         name.find("_PORT_") != std::string::npos || name.ends_with("_PORT");
}

void refuse_unknown_variables(const Environment& environment) {
  for (const auto& name : environment.names) {
    if (!name.starts_with("COLLOQUY_") || name == "COLLOQUY_CONFIG" || is_service_link(name))
      continue;
    auto is_of = [&name](const auto& setting) { return environment_name(setting.name) == name; };
    bool known = std::any_of(serve_settings().begin(), serve_settings().end(), is_of) ||
                 std::any_of(token_settings().begin(), token_settings().end(), is_of) ||
                 std::any_of(tables_settings().begin(), tables_settings().end(), is_of) ||
                 std::any_of(migrate_settings().begin(), migrate_settings().end(), is_of) ||
                 std::any_of(backup_settings().begin(), backup_settings().end(), is_of) ||
                 std::any_of(restore_settings().begin(), restore_settings().end(), is_of) ||
                 std::any_of(verify_settings().begin(), verify_settings().end(), is_of) ||
                 std::any_of(cost_settings().begin(), cost_settings().end(), is_of);
    if (!known) throw ConfigError("the environment variable " + name + " is not a setting");
  }
}

// Flags and the file, through CLI11; the environment between the two.
template <class Config>
class Parser {
 public:
  Parser(std::string command, std::string description, const std::vector<Setting<Config>>& table)
      : table_(table), app_(std::move(description), std::move(command)) {
    app_.set_help_flag("-h,--help", "Print this help and exit.");
    app_.set_config("--config", "",
                    "File with settings, one `name = value` a line. [COLLOQUY_CONFIG]");
    app_.allow_config_extras(CLI::config_extras_mode::error);
    app_.get_formatter()->column_width(44);
    for (const auto& setting : table_) add(setting);
  }

  std::optional<Config> parse(const std::vector<std::string>& arguments,
                              const Environment& environment, std::ostream& out) {
    refuse_unknown_variables(environment);
    try {
      std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
      auto file = environment.get("COLLOQUY_CONFIG");
      if (file && !named(arguments, "config")) reversed.push_back("--config=" + *file);
      app_.parse(reversed);
    } catch (const CLI::CallForHelp&) {
      out << app_.help();
      return std::nullopt;
    } catch (const CLI::ExtrasError&) {
      auto unknown = app_.remaining();
      auto flag = std::find_if(unknown.begin(), unknown.end(),
                               [](const std::string& text) { return text.starts_with("-"); });
      throw ConfigError((flag == unknown.end() ? unknown.front() : *flag) + " is not a setting");
    } catch (const CLI::ParseError& error) {
      throw ConfigError(error.what());
    }
    Config config;
    for (const auto& setting : table_) apply(config, setting, environment, arguments);
    return config;
  }

 private:
  void add(const Setting<Config>& setting) {
    std::string help(setting.help);
    help += " [" + environment_name(setting.name) + "]";
    if (setting.secret) help = "(not a flag: file or environment) " + help;
    auto* option = app_.add_option("--" + std::string(setting.name), texts_[setting.name], help);
    option->take_last();
    if (setting.is_flag) option->expected(0, 1);
    // A flag that stands without a value would take its default for one.
    if (!setting.default_text.empty() && !setting.is_flag) {
      option->default_str(std::string(setting.default_text));
    }
  }

  static bool named(const std::vector<std::string>& arguments, std::string_view setting) {
    std::string flag = "--" + std::string(setting);
    return std::any_of(arguments.begin(), arguments.end(), [&](const std::string& argument) {
      return argument == flag || argument.starts_with(flag + "=");
    });
  }

  Value find(const Setting<Config>& setting, const Environment& environment,
             const std::vector<std::string>& arguments) {
    std::string flag = "--" + std::string(setting.name);
    auto* option = app_.get_option(flag);
    bool by_flag = named(arguments, setting.name);
    if (by_flag && setting.secret) {
      throw ConfigError(flag + " is a secret and not a flag: set " +
                        environment_name(setting.name));
    }
    if (by_flag) {
      auto& text = texts_[setting.name];
      return {setting.is_flag && text.empty() ? "true" : text, flag};
    }
    auto variable = environment_name(setting.name);
    if (auto value = environment.get(variable)) return {*value, variable};
    if (option->count() > 0)
      return {texts_[setting.name], std::string(setting.name) + " in the config file"};
    return {std::string(setting.default_text), flag, false};
  }

  void apply(Config& config, const Setting<Config>& setting, const Environment& environment,
             const std::vector<std::string>& arguments) {
    auto value = find(setting, environment, arguments);
    try {
      setting.apply(config, value.text);
      if (value.given && !value.text.empty()) config.sources.add(setting.name, value.source);
    } catch (const ConfigError& error) {
      std::string shown = setting.secret ? "" : " \"" + value.text + "\"";
      throw ConfigError(value.source + shown + " " + error.what());
    }
  }

  const std::vector<Setting<Config>>& table_;
  std::map<std::string_view, std::string> texts_;
  CLI::App app_;
};

// OPENAI_API_KEY is other programs' too: it is only looked at by whoever asks such an endpoint.
void use_shared_api_key(ServeConfig& config, const Environment& environment) {
  auto key = environment.get("OPENAI_API_KEY");
  if (config.model != ModelKind::kOpenAi || !key) return;
  try {
    check_api_key(*key);
  } catch (const ConfigError& error) {
    throw ConfigError(std::string("OPENAI_API_KEY ") + error.what());
  }
  config.openai_api_key = *key;
}

template <class Config>
void append_table(std::string& out, const std::vector<Setting<Config>>& table) {
  std::string_view group;
  for (const auto& setting : table) {
    if (setting.group != group) {
      group = setting.group;
      out += "\n### " + std::string(group) +
             "\n\n| setting | default | environment | what it does |\n";
      out += "| --- | --- | --- | --- |\n";
    }
    std::string name = setting.secret ? std::string(setting.name) + " (no flag)"
                                      : "`--" + std::string(setting.name) + "`";
    std::string shown =
        setting.default_text.empty() ? "" : "`" + std::string(setting.default_text) + "`";
    out += "| " + name + " | " + shown + " | `" + environment_name(setting.name) + "` | ";
    out += std::string(setting.help) + " |\n";
  }
}

}  // namespace

void Sources::add(std::string_view setting, std::string where) {
  where_.insert_or_assign(std::string(setting), std::move(where));
}

bool Sources::has(std::string_view setting) const { return where_.contains(setting); }

std::string Sources::of(std::string_view setting) const {
  auto found = where_.find(setting);
  return found == where_.end() ? "--" + std::string(setting) : found->second;
}

std::string environment_name(std::string_view setting) {
  std::string name = "COLLOQUY_";
  for (char c : setting) {
    name.push_back(c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c))));
  }
  return name;
}

Environment Environment::of_process() {
  Environment environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    std::string text(*entry);
    environment.names.push_back(text.substr(0, text.find('=')));
  }
  environment.get = [](const std::string& name) -> std::optional<std::string> {
    const char* value =
        std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe): before any thread
    if (value == nullptr) return std::nullopt;
    return value;
  };
  return environment;
}

std::optional<ServeConfig> parse_serve(const std::vector<std::string>& arguments,
                                       const Environment& environment, std::ostream& out) {
  Parser<ServeConfig> parser("colloquy serve", "Starts the server.", serve_settings());
  auto config = parser.parse(arguments, environment, out);
  if (!config) return config;
  if (config->openai_api_key.empty()) use_shared_api_key(*config, environment);
  check_together(*config);
  return config;
}

std::optional<TokenConfig> parse_token(const std::vector<std::string>& arguments,
                                       const Environment& environment, std::ostream& out) {
  Parser<TokenConfig> parser("colloquy token", "Prints a bearer token.", token_settings());
  auto config = parser.parse(arguments, environment, out);
  if (!config) return config;
  if (config->user.empty())
    throw ConfigError("--user is needed: the user id that the token stands for");
  if (config->user.size() > limits::kUserIdBytes) throw ConfigError("--user is too long");
  return config;
}

std::optional<MigrateConfig> parse_migrate(const std::vector<std::string>& arguments,
                                           const Environment& environment, std::ostream& out) {
  Parser<MigrateConfig> parser("colloquy migrate",
                               "Moves all conversations from one store into another.",
                               migrate_settings());
  auto config = parser.parse(arguments, environment, out);
  if (config) check_together(*config);
  return config;
}

std::optional<BackupConfig> parse_backup(const std::vector<std::string>& arguments,
                                         const Environment& environment, std::ostream& out) {
  Parser<BackupConfig> parser("colloquy backup",
                              "Backs the embedded store up, while a server runs on it or not.",
                              backup_settings());
  auto config = parser.parse(arguments, environment, out);
  if (config && config->to.empty()) {
    throw ConfigError("--to is needed: the folder that the backup is to be in");
  }
  if (config && config->data.empty()) throw ConfigError("--data must name a folder");
  return config;
}

std::optional<RestoreConfig> parse_restore(const std::vector<std::string>& arguments,
                                           const Environment& environment, std::ostream& out) {
  Parser<RestoreConfig> parser("colloquy restore",
                               "Makes a data folder, or new tables, as a store was at a moment.",
                               restore_settings());
  auto config = parser.parse(arguments, environment, out);
  if (config) check_together(*config);
  return config;
}

std::optional<VerifyConfig> parse_verify(const std::vector<std::string>& arguments,
                                         const Environment& environment, std::ostream& out) {
  Parser<VerifyConfig> parser("colloquy verify", "Proves that a backup can be restored.",
                              verify_settings());
  auto config = parser.parse(arguments, environment, out);
  if (config && config->from.empty()) {
    throw ConfigError("--from is needed: the folder that the backup is in");
  }
  return config;
}

std::optional<CostConfig> parse_cost(const std::vector<std::string>& arguments,
                                     const Environment& environment, std::ostream& out) {
  Parser<CostConfig> parser("colloquy cost", "Prints what a month on DynamoDB costs.",
                            cost_settings());
  auto config = parser.parse(arguments, environment, out);
  if (config) check_together(*config);
  return config;
}

std::optional<TablesCommand> parse_tables(const std::vector<std::string>& arguments,
                                          const Environment& environment, std::ostream& out) {
  using Action = TablesCommand::Action;
  const std::map<std::string, Action> actions{
      {"create", Action::kCreate}, {"check", Action::kCheck}, {"describe", Action::kDescribe}};
  Parser<TablesConfig> parser("colloquy tables create|check|describe",
                              "Makes the tables in DynamoDB, or compares them with what they must "
                              "be.",
                              tables_settings());
  auto action = arguments.empty() ? actions.end() : actions.find(arguments.front());
  bool asks_for_help =
      !arguments.empty() && (arguments.front() == "--help" || arguments.front() == "-h");
  if (action == actions.end() && !asks_for_help) {
    throw ConfigError("tables needs to know what to do: create, check or describe");
  }
  std::vector<std::string> rest(arguments.begin() + (asks_for_help ? 0 : 1), arguments.end());
  auto config = parser.parse(rest, environment, out);
  if (!config) return std::nullopt;
  return TablesCommand{action->second, std::move(*config)};
}

std::optional<KeysCommand> parse_keys(const std::vector<std::string>& arguments,
                                      const Environment& environment, std::ostream& out) {
  using Action = KeysCommand::Action;
  const std::map<std::string, Action> actions{{"create", Action::kCreate},
                                              {"create-table", Action::kCreateTable},
                                              {"rotate", Action::kRotate}};
  Parser<KeysConfig> parser("colloquy keys create|create-table|rotate",
                            "Makes a master key, the table of users' keys, or wraps them anew.",
                            keys_settings());
  auto action = arguments.empty() ? actions.end() : actions.find(arguments.front());
  bool asks_for_help =
      !arguments.empty() && (arguments.front() == "--help" || arguments.front() == "-h");
  if (action == actions.end() && !asks_for_help) {
    throw ConfigError("keys needs to know what to do: create, create-table or rotate");
  }
  std::vector<std::string> rest(arguments.begin() + (asks_for_help ? 0 : 1), arguments.end());
  auto config = parser.parse(rest, environment, out);
  if (!config) return std::nullopt;
  if (action->second == Action::kRotate) check_together(*config);
  return KeysCommand{action->second, std::move(*config)};
}

std::string settings_markdown() {
  std::string out;
  append_table(out, serve_settings());
  append_table(out, token_settings());
  append_table(out, tables_settings());
  append_table(out, keys_settings());
  append_table(out, migrate_settings());
  append_table(out, backup_settings());
  append_table(out, restore_settings());
  append_table(out, verify_settings());
  append_table(out, cost_settings());
  return out;
}

}  // namespace colloquy::config
