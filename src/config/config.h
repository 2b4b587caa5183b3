// Every setting of the program, once: its name, default, help and check.
//
// A setting `admin-listen` is the flag --admin-listen, the environment variable
// COLLOQUY_ADMIN_LISTEN and the line `admin-listen = …` of the file that --config
// names. A flag wins over the environment, the environment over the file. What is
// unknown or invalid is refused by name before anything is opened. A secret has no
// flag, since other users of a machine can read command lines.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"

namespace colloquy::config {

struct ListenAddress {
  std::string address;  // an IP address, without brackets
  unsigned short port = 0;
  bool loopback() const;
};

enum class StoreKind : std::uint8_t { kRocksDb, kDynamoDb };
enum class ModelKind : std::uint8_t { kDemo, kOpenAi, kLlama };
// Who gives a conversation its title; kAuto: the model, where it is not the demonstration.
enum class Titles : std::uint8_t { kAuto, kPrompt, kModel };

// Where the settings that were given stand, in the words of an error: "--listen",
// "COLLOQUY_LISTEN" or "listen in the config file". A setting with an empty value is not given.
class Sources {
 public:
  void add(std::string_view setting, std::string where);
  bool has(std::string_view setting) const;
  std::string of(std::string_view setting) const;  // the flag where it was not given

 private:
  std::map<std::string, std::string, std::less<>> where_;
};

// Where the tables are, and how they are spoken to.
struct DynamoDbConfig {
  std::string endpoint;  // empty: the region's own
  std::string region;    // empty: found as the AWS SDKs find it
  std::string conversations_table;
  std::string messages_table;
  std::chrono::milliseconds timeout{};       // of one attempt of a call
  std::chrono::milliseconds call_timeout{};  // no further attempt begins after it
  bool updated_index = false;
};

enum class EncryptionKind : std::uint8_t { kOff, kFile, kEnv, kKms };

// Where the master key and the keyring are.
struct EncryptionConfig {
  EncryptionKind kind = EncryptionKind::kOff;
  std::string master_key;
  std::string master_key_file;
  std::string kms_key;
  std::string kms_endpoint;  // empty: the region's own
  std::string keyring;       // a folder; empty: the table
  std::string keys_table;
};

// What `colloquy serve` needs. The defaults stand in the table of settings.
struct ServeConfig {
  ListenAddress listen;
  ListenAddress admin_listen;
  std::string tls_cert;
  std::string tls_key;
  int threads = 0;
  std::size_t max_connections = 0;
  std::size_t max_header_bytes = 0;
  std::size_t max_body_bytes = 0;
  std::chrono::milliseconds idle_timeout{};
  std::chrono::milliseconds request_timeout{};
  std::chrono::milliseconds write_timeout{};
  std::chrono::milliseconds shutdown_timeout{};
  std::size_t gzip_min_bytes = 0;
  std::vector<std::string> cors_origins;

  std::string data;
  StoreKind store = StoreKind::kRocksDb;
  std::size_t block_cache_bytes = 0;
  std::size_t min_free_disk_bytes = 0;
  std::size_t write_queue = 0;
  std::string backup_to;  // empty: no continuous backup
  std::chrono::milliseconds backup_every{};
  std::chrono::milliseconds backup_keep{};
  std::size_t backup_log_limit_bytes = 0;
  EncryptionConfig encryption;
  bool encrypt_files = false;
  bool search = false;
  std::string files;                  // empty: DATA/files with the embedded store, none with tables
  std::size_t files_quota_bytes = 0;  // 0: none
  std::size_t files_quota_count = 0;  // 0: none
  std::size_t files_min_free_bytes = 0;
  std::size_t files_threads = 0;
  std::size_t max_file_bytes = 0;
  std::size_t max_import_bytes = 0;
  std::chrono::milliseconds retention{};  // 0: what has no time to live of its own stays
  std::chrono::milliseconds temporary_ttl{};
  std::size_t removal_rate = 0;
  DynamoDbConfig dynamodb;
  std::chrono::milliseconds dynamodb_sweep_interval{};
  std::string advertise;           // empty: this server is not called by others
  std::string cluster_key_file;    // together with it
  std::vector<std::string> peers;  // URLs of the others; empty: no events are told

  std::string token_key;
  std::string token_key_file;
  std::vector<std::string> auth_algorithms;
  std::string auth_issuer;
  std::vector<std::string> auth_audience;
  std::string jwks;

  ModelKind model = ModelKind::kDemo;
  std::chrono::milliseconds demo_token_delay{};
  std::string openai_base_url;
  std::string openai_api_key;
  std::string openai_model;
  std::vector<std::string> openai_models;
  bool openai_strict_alternation = false;
  std::chrono::milliseconds openai_connect_timeout{};
  std::chrono::milliseconds openai_first_token_timeout{};
  std::chrono::milliseconds openai_idle_timeout{};
  std::string llama_model;
  std::size_t llama_context = 0;  // 0: the model's own, 4096 at most
  std::size_t llama_slots = 0;
  std::size_t llama_queue = 0;
  int llama_threads = 0;  // 0: all processors but one

  std::size_t context_messages = 0;
  std::size_t context_tokens = 0;  // 0: no budget
  bool context_summary = false;
  Titles titles = Titles::kAuto;
  std::size_t max_tokens_default = 0;  // 0: the model's own
  std::size_t max_content_bytes = 0;
  std::size_t max_turns = 0;
  std::chrono::milliseconds turn_timeout{};
  std::optional<std::chrono::milliseconds> partial_save_interval;  // nullopt: the store's own

  std::size_t requests_per_minute = 0;  // 0: no limit
  std::size_t tokens_per_minute = 0;    // 0: no limit

  std::string log_level;
  bool metrics_emf = false;
  std::chrono::milliseconds metrics_emf_interval{};
  std::string metrics_emf_service;

  Sources sources;
};

// What `colloquy token` needs.
struct TokenConfig {
  std::string data;
  std::string token_key;
  std::string token_key_file;
  std::string auth_issuer;
  std::string user;
  std::chrono::milliseconds ttl{};

  Sources sources;
};

// What `colloquy tables` needs.
struct TablesConfig {
  DynamoDbConfig dynamodb;
  bool secondary_indexes = true;
  std::string keys_table;  // empty: it is not looked at

  Sources sources;
};

// What `colloquy keys` needs.
struct KeysConfig {
  EncryptionConfig encryption;
  DynamoDbConfig dynamodb;

  Sources sources;
};

// One side of a move: "rocksdb:FOLDER", "dynamodb:CONVERSATIONS,MESSAGES" or, for the tables of the
// source system, "source:CONVERSATIONS,MESSAGES".
struct MigratePlace {
  enum class Kind : std::uint8_t { kRocksDb, kDynamoDb, kSource };
  Kind kind = Kind::kRocksDb;
  std::string folder;               // the data folder
  std::string conversations_table;  // these two default to the settings' own
  std::string messages_table;
  bool operator==(const MigratePlace&) const = default;
};

// What `colloquy migrate` needs.
struct MigrateConfig {
  std::optional<MigratePlace> from;  // there, once it is parsed
  std::optional<MigratePlace> to;
  std::string progress;
  DynamoDbConfig dynamodb;

  Sources sources;
};

// What `colloquy backup` needs.
struct BackupConfig {
  std::string data;
  std::string to;
  std::chrono::milliseconds keep{};

  Sources sources;
};

// What `colloquy restore` needs.
struct RestoreConfig {
  StoreKind store = StoreKind::kRocksDb;
  std::string from;
  std::string at;  // RFC 3339; empty: as late as can be
  std::string data;
  std::string lineage;  // empty: the only one that can be meant
  std::string erased;   // file with erased users; empty: none beside the backup's own
  bool keep_expired = false;
  std::optional<std::chrono::milliseconds> retention;  // the servers'; nullopt: as the store has it
  bool allow_partial = false;
  DynamoDbConfig dynamodb;
  std::string prefix;  // of the new tables' names, before those of the old, and behind
  std::string suffix;
  std::chrono::milliseconds wait{};  // until the new tables are active

  Sources sources;
};

// What `colloquy verify` needs.
struct VerifyConfig {
  std::string from;
  std::string lineage;  // empty: all
  std::string scratch;  // empty: what is read is not restored

  Sources sources;
};

// What `colloquy cost` needs.
struct CostConfig {
  std::size_t users = 0;
  std::size_t messages = 0;  // of each user a month
  std::optional<std::size_t>
      conversations;  // that each begins a month; nullopt: one for ten messages
  std::size_t opens = 0;
  std::size_t prompt_bytes = 0;
  std::size_t answer_bytes = 0;
  std::size_t context_messages = 0;
  std::chrono::milliseconds retention{};  // 0: for good
  bool provisioned = false;
  std::size_t utilization_percent = 0;
  std::size_t files_gib = 0;
  std::size_t snapshots_gib = 0;
  bool pitr = true;
  bool secondary_indexes = true;
  std::string prices;  // empty: those that the program was built with
  bool json = false;

  Sources sources;
};

// A setting is unknown or invalid; what() names it, in one line for a person.
class ConfigError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

template <class Config>
struct Setting {
  std::string_view group;         // heading in the documentation
  std::string_view name;          // as the flag, without its dashes
  std::string_view default_text;  // as a user would write it
  std::string_view help;
  bool secret = false;                                     // no flag
  std::function<void(Config&, const std::string&)> apply;  // throws ConfigError without the name
  bool is_flag = false;  // true or false; the flag may stand without a value
};

const std::vector<Setting<ServeConfig>>& serve_settings();
const std::vector<Setting<TokenConfig>>& token_settings();
const std::vector<Setting<TablesConfig>>& tables_settings();
const std::vector<Setting<KeysConfig>>& keys_settings();
const std::vector<Setting<MigrateConfig>>& migrate_settings();
const std::vector<Setting<BackupConfig>>& backup_settings();
const std::vector<Setting<RestoreConfig>>& restore_settings();
const std::vector<Setting<VerifyConfig>>& verify_settings();
const std::vector<Setting<CostConfig>>& cost_settings();

// The name of the environment variable of a setting.
std::string environment_name(std::string_view setting);

// A process's environment: the value of a variable, and the names that it has.
struct Environment {
  std::function<std::optional<std::string>(const std::string&)> get;
  std::vector<std::string> names;
  static Environment of_process();
};

// `arguments` are those after the subcommand. Throws ConfigError. nullopt: --help was asked for and
// has been written to `out`.
std::optional<ServeConfig> parse_serve(const std::vector<std::string>& arguments,
                                       const Environment& environment, std::ostream& out);
std::optional<TokenConfig> parse_token(const std::vector<std::string>& arguments,
                                       const Environment& environment, std::ostream& out);

std::optional<MigrateConfig> parse_migrate(const std::vector<std::string>& arguments,
                                           const Environment& environment, std::ostream& out);

std::optional<BackupConfig> parse_backup(const std::vector<std::string>& arguments,
                                         const Environment& environment, std::ostream& out);
std::optional<RestoreConfig> parse_restore(const std::vector<std::string>& arguments,
                                           const Environment& environment, std::ostream& out);
std::optional<VerifyConfig> parse_verify(const std::vector<std::string>& arguments,
                                         const Environment& environment, std::ostream& out);
std::optional<CostConfig> parse_cost(const std::vector<std::string>& arguments,
                                     const Environment& environment, std::ostream& out);

// The first argument is what to do; the rest are settings.
struct TablesCommand {
  enum class Action : std::uint8_t { kCreate, kCheck, kDescribe };
  Action action = Action::kCheck;
  TablesConfig config;
};
std::optional<TablesCommand> parse_tables(const std::vector<std::string>& arguments,
                                          const Environment& environment, std::ostream& out);

struct KeysCommand {
  enum class Action : std::uint8_t { kCreate, kCreateTable, kRotate };
  Action action = Action::kCreate;
  KeysConfig config;
};
std::optional<KeysCommand> parse_keys(const std::vector<std::string>& arguments,
                                      const Environment& environment, std::ostream& out);

// The table of every setting in Markdown, for docs/operations.md.
std::string settings_markdown();

}  // namespace colloquy::config
