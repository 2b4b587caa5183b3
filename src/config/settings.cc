// The table of settings. docs/operations.md is made from it.
#include <algorithm>

#include "config/config.h"
#include "config/encryption_settings.h"
#include "config/setting_makers.h"
#include "config/values.h"

namespace colloquy::config {
namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 50U;  // 1 PiB

using Serve = ServeConfig;
using ServeApply = std::function<void(Serve&, const std::string&)>;

ServeApply list(std::vector<std::string> Serve::*field) {
  return [field](Serve& c, const std::string& v) { c.*field = parse_list(v); };
}
ServeApply listen(ListenAddress Serve::*field) {
  return [field](Serve& c, const std::string& v) { c.*field = parse_listen(v); };
}
ServeApply whole_seconds(std::chrono::milliseconds Serve::*field, std::int64_t least_ms) {
  return [field, least_ms](Serve& c, const std::string& v) {
    duration(field, least_ms, limits::kTtlSecondsMax / (24LL * 60 * 60))(c, v);
    if ((c.*field).count() % 1000 != 0) throw ConfigError("must be whole seconds");
  };
}
ServeApply bytes(std::size_t Serve::*field, std::size_t least = 0, std::size_t most = kMostBytes) {
  return [field, least, most](Serve& c, const std::string& v) {
    c.*field = parse_bytes(v);
    if (c.*field < least) throw ConfigError("must be at least " + std::to_string(least) + " bytes");
    if (c.*field > most) throw ConfigError("must be at most " + std::to_string(most) + " bytes");
  };
}
ServeApply number(std::size_t Serve::*field, std::size_t least, std::size_t most) {
  return [field, least, most](Serve& c, const std::string& v) {
    c.*field = parse_number(v, least, most);
  };
}
ServeApply boolean(bool Serve::*field) {
  return [field](Serve& c, const std::string& v) { c.*field = parse_boolean(v); };
}

void apply_store(Serve& config, const std::string& value) { config.store = parse_store(value); }

void apply_model(Serve& config, const std::string& value) {
  if (value == "demo") {
    config.model = ModelKind::kDemo;
  } else if (value == "openai") {
    config.model = ModelKind::kOpenAi;
  } else if (value == "llama") {
    config.model = ModelKind::kLlama;
  } else {
    throw ConfigError("must be demo, openai or llama");
  }
}

void apply_titles(Serve& config, const std::string& value) {
  if (value == "auto") {
    config.titles = Titles::kAuto;
  } else if (value == "prompt") {
    config.titles = Titles::kPrompt;
  } else if (value == "model") {
    config.titles = Titles::kModel;
  } else {
    throw ConfigError("must be auto, prompt or model");
  }
}

void apply_search(Serve& config, const std::string& value) {
  if (value != "on" && value != "off") throw ConfigError("must be on or off");
  config.search = value == "on";
}

void apply_encrypt_files(Serve& config, const std::string& value) {
  if (value != "on" && value != "off") throw ConfigError("must be on or off");
  config.encrypt_files = value == "on";
}

void apply_log_level(Serve& config, const std::string& value) {
  if (value != "debug" && value != "info" && value != "warning" && value != "error") {
    throw ConfigError("must be debug, info, warning or error");
  }
  config.log_level = value;
}

void apply_metrics_interval(Serve& config, const std::string& value) {
  config.metrics_emf_interval = parse_duration(value);
  const auto ms = config.metrics_emf_interval.count();
  if (ms < 1000 || ms > 3'600'000) throw ConfigError("must be between 1s and 1h");
}

// As CloudWatch takes the value of a dimension.
void apply_metrics_service(Serve& config, const std::string& value) {
  constexpr std::size_t kLongest = 255;
  const bool printable =
      std::all_of(value.begin(), value.end(), [](char c) { return c > ' ' && c <= '~'; });
  if (value.empty() || value.size() > kLongest || !printable || value.front() == ':') {
    throw ConfigError(
        "must be 1 to 255 letters, digits and signs of ASCII, without spaces, and not begin with "
        "':'");
  }
  config.metrics_emf_service = value;
}

void apply_algorithms(Serve& config, const std::string& value) {
  config.auth_algorithms = parse_list(value);
  for (const auto& name : config.auth_algorithms) {
    if (name != "HS256" && name != "RS256" && name != "PS256" && name != "ES256" &&
        name != "EdDSA") {
      throw ConfigError("may list HS256, RS256, PS256, ES256 and EdDSA");
    }
  }
}

void apply_cors(Serve& config, const std::string& value) {
  config.cors_origins = parse_list(value);
  for (const auto& origin : config.cors_origins) check_origin(origin);
}

void apply_api_key(Serve& config, const std::string& value) {
  check_api_key(value);
  config.openai_api_key = value;
}

void apply_base_url(Serve& config, const std::string& value) {
  if (!value.empty() && !value.starts_with("http://") && !value.starts_with("https://")) {
    throw ConfigError("must begin with http:// or https://");
  }
  config.openai_base_url = value;
}

void apply_partial_save_interval(Serve& config, const std::string& value) {
  if (value.empty()) return;
  auto interval = parse_duration(value);
  auto ms = interval.count();
  if (ms != 0 && (ms < 100 || ms > 3'600'000)) throw ConfigError("must be 0s, or 100ms to 1h");
  config.partial_save_interval = interval;
}

void apply_advertise(Serve& config, const std::string& value) {
  if (!value.empty()) check_endpoint(value);
  config.advertise = value;
}

void apply_peers(Serve& config, const std::string& value) {
  config.peers = parse_list(value);
  for (const auto& peer : config.peers) check_endpoint(peer);
}

void apply_place(std::optional<MigratePlace>& place, const std::string& value) {
  if (!value.empty()) place = parse_place(value);
}

template <class Config>
Setting<Config> updated_index_setting() {
  return {"Tables",
          "updated-index",
          "false",
          "An index of a user's conversations by their last activity, UserUpdatedIndex; it costs "
          "two writes more a turn.",
          false,
          [](Config& c, const std::string& v) { c.dynamodb.updated_index = parse_boolean(v); },
          true};
}

}  // namespace

const std::vector<Setting<TablesConfig>>& tables_settings() {
  static const std::vector<Setting<TablesConfig>> table = [] {
    auto settings = dynamodb_settings<TablesConfig>();
    settings.push_back(
        {"Tables", "no-secondary-indexes", "false",
         "Tables without UserCreatedIndex and ConversationTimeIndex, which cost a "
         "write a message and which no read of Colloquy's needs.",
         false,
         [](TablesConfig& c, const std::string& v) { c.secondary_indexes = !parse_boolean(v); },
         true});
    settings.push_back(updated_index_setting<TablesConfig>());
    settings.push_back({"Tables", "dynamodb-keys-table", "",
                        "Name of the table of the users' wrapped keys, which is then made and "
                        "checked too.",
                        false, [](TablesConfig& c, const std::string& v) {
                          if (!v.empty()) check_table_name(v);
                          c.keys_table = v;
                        }});
    return settings;
  }();
  return table;
}

const std::vector<Setting<ServeConfig>>& serve_settings() {
  static const std::vector<Setting<ServeConfig>> own{
      {"Listening", "listen", "127.0.0.1:8080",
       "Address and port of the API; port 0 takes a free one.", false, listen(&Serve::listen)},
      {"Listening", "admin-listen", "127.0.0.1:9464",
       "Address and port of /metrics and /health for operators.", false,
       listen(&Serve::admin_listen)},
      {"Listening", "tls-cert", "",
       "PEM file with the certificate chain; read again when it changes.", false,
       text(&Serve::tls_cert)},
      {"Listening", "tls-key", "", "PEM file with the certificate's private key.", false,
       text(&Serve::tls_key)},
      {"Listening", "threads", "0", "Event loops; 0 takes one for each processor.", false,
       [](Serve& c, const std::string& v) {
         c.threads = static_cast<int>(parse_number(v, 0, 1024));
       }},
      {"Listening", "max-connections", "10000", "Connections open at once; more are answered 503.",
       false, number(&Serve::max_connections, 1, 1'000'000)},
      {"Listening", "max-header-bytes", "16KiB", "Largest request header; more is answered 431.",
       false, bytes(&Serve::max_header_bytes, 1024, limits::kMiB)},
      {"Listening", "max-body-bytes", "8MiB", "Largest request body; more is answered 413.", false,
       bytes(&Serve::max_body_bytes, 1024, 1024 * limits::kMiB)},
      {"Listening", "max-import-size", "1GiB",
       "Largest import, which is read while it arrives; more is answered 413.", false,
       bytes(&Serve::max_import_bytes, 1024)},
      {"Listening", "idle-timeout", "75s", "How long a connection may wait between two requests.",
       false, duration(&Serve::idle_timeout)},
      {"Listening", "request-timeout", "30s", "How long a client may take to send one request.",
       false, duration(&Serve::request_timeout)},
      {"Listening", "write-timeout", "30s",
       "How long a client may take to receive one piece of a response.", false,
       duration(&Serve::write_timeout)},
      {"Listening", "shutdown-timeout", "25s",
       "How long running answers may go on after SIGTERM before they are cut and saved.", false,
       duration(&Serve::shutdown_timeout, 0)},
      {"Listening", "gzip-min-bytes", "4KiB",
       "JSON responses from this size are compressed where the client accepts it; 0 switches it "
       "off.",
       false, bytes(&Serve::gzip_min_bytes)},
      {"Listening", "cors-origins", "",
       "Comma-separated origins whose pages may call the API; * for all.", false, apply_cors},

      {"Storing", "data", "./data", "Folder of the embedded store and of the token key.", false,
       text(&Serve::data)},
      {"Storing", "store", "rocksdb",
       "Where conversations are kept: rocksdb (the embedded store) or dynamodb.", false,
       apply_store},
      {"Storing", "block-cache", "256MiB", "Memory for blocks read from disk.", false,
       bytes(&Serve::block_cache_bytes, limits::kMiB)},
      {"Storing", "min-free-disk", "512MiB",
       "Writes are refused with 503 while less is free on the volume.", false,
       bytes(&Serve::min_free_disk_bytes)},
      {"Storing", "write-queue", "4096",
       "Writes that may wait for the disk at once; more are answered 503.", false,
       number(&Serve::write_queue, 1, 1'000'000)},
      {"Storing", "retention", "0s",
       "How long after its last activity a conversation goes that has no time to live of its own; "
       "0s: it stays. The same for all servers on the same tables.",
       false, whole_seconds(&Serve::retention, 0)},
      {"Storing", "temporary-ttl", "24h",
       "How long after its last activity a temporary conversation goes.", false,
       whole_seconds(&Serve::temporary_ttl, 1000)},
      {"Storing", "removal-rate", "1000",
       "Messages of deleted and expired conversations that are removed a second, at most; and as "
       "many idempotency keys.",
       false, number(&Serve::removal_rate, 10, 1'000'000)},

      {"Backing up", "backup-to", "",
       "Folder that a backup of the embedded store is kept in, from which `colloquy restore` has "
       "any second back; a mounted bucket will do. Empty: there is none.",
       false, text(&Serve::backup_to)},
      {"Backing up", "backup-every", "1s", "How often what was committed is shipped into it.",
       false, duration(&Serve::backup_every, 100, 1)},
      {"Backing up", "backup-keep", "35d", "How far back it reaches.", false,
       duration(&Serve::backup_keep, 1000)},
      {"Backing up", "backup-log-limit", "4GiB",
       "Most room in the data folder for what could not be shipped yet; past it, the seconds since "
       "are given up, and the backup begins anew when it can.",
       false, bytes(&Serve::backup_log_limit_bytes, limits::kMiB)},
      {"Searching", "search", "on",
       "Full-text search: on or off. With rocksdb it keeps an index in the folder of --data.",
       false, apply_search},
      {"Files", "files", "",
       "Folder of the users' files, which other programs may use too; off: none are kept. Default: "
       "DATA/files with rocksdb, off with dynamodb.",
       false, text(&Serve::files)},
      {"Files", "files-quota", "1GiB",
       "Bytes that the files of one user may have; more are answered 507. 0: no limit.", false,
       bytes(&Serve::files_quota_bytes)},
      {"Files", "files-quota-count", "10000",
       "Files and folders that one user may have; more are answered 507. 0: no limit.", false,
       number(&Serve::files_quota_count, 0, 1'000'000'000)},
      {"Files", "files-min-free", "512MiB",
       "Files are refused with 507 where less would be left free on their volume, beyond "
       "--min-free-disk where the store is there too.",
       false, bytes(&Serve::files_min_free_bytes)},
      {"Files", "files-threads", "4", "Threads that read and write files.", false,
       number(&Serve::files_threads, 1, 256)},
      {"Files", "max-file-size", "256MiB", "Largest file; more is answered 413.", false,
       bytes(&Serve::max_file_bytes, 1)},

      {"Signing in", "token-key", "", "Key of HS256 tokens, at least 32 bytes; instead of a file.",
       true, text(&Serve::token_key)},
      {"Signing in", "token-key-file", "",
       "File with the key of HS256 tokens; default DATA/token.key, made at the first start.", false,
       text(&Serve::token_key_file)},
      {"Signing in", "jwks", "", "File or URL of the identity provider's key set.", false,
       text(&Serve::jwks)},
      {"Signing in", "auth-issuer", "",
       "The one issuer whose tokens are accepted; needed with jwks. Default for HS256 alone: "
       "colloquy.",
       false, text(&Serve::auth_issuer)},
      {"Signing in", "auth-audience", "",
       "Comma-separated audiences (or Amazon Cognito client ids), one of which a token must name.",
       false, list(&Serve::auth_audience)},
      {"Signing in", "auth-algorithms", "",
       "Comma-separated algorithms that are accepted. Default: HS256, or with jwks "
       "RS256,PS256,ES256,EdDSA.",
       false, apply_algorithms},

      {"Answering", "model", "demo",
       "Who answers: demo, openai for any OpenAI-compatible endpoint, or llama for a model in the "
       "process.",
       false, apply_model},
      {"Answering", "demo-token-delay", "0ms", "Pause of the demonstration model before each word.",
       false, duration(&Serve::demo_token_delay, 0)},
      {"Answering", "openai-base-url", "",
       "URL of the endpoint with its /v1, such as http://127.0.0.1:8000/v1.", false,
       apply_base_url},
      {"Answering", "openai-api-key", "", "Key of the endpoint; OPENAI_API_KEY is read too.", true,
       apply_api_key},
      {"Answering", "openai-model", "", "Name of the endpoint's model.", false,
       text(&Serve::openai_model)},
      {"Answering", "openai-models", "", "Comma-separated further models that a request may name.",
       false, list(&Serve::openai_models)},
      {"Answering", "openai-strict-alternation", "false",
       "Merge neighbouring messages of one role and drop a leading answer, for chat templates that "
       "insist.",
       false, boolean(&Serve::openai_strict_alternation)},
      {"Answering", "openai-connect-timeout", "5s", "How long connecting to the endpoint may take.",
       false, duration(&Serve::openai_connect_timeout)},
      {"Answering", "openai-first-token-timeout", "60s",
       "How long the endpoint may take to begin its answer.", false,
       duration(&Serve::openai_first_token_timeout)},
      {"Answering", "openai-idle-timeout", "60s",
       "How long the endpoint may pause within its answer.", false,
       duration(&Serve::openai_idle_timeout)},
      {"Answering", "llama-model", "", "GGUF file of the model in the process.", false,
       text(&Serve::llama_model)},
      {"Answering", "llama-context", "0",
       "Tokens of one conversation with its answer. 0: as many as the model was made for, 4096 at "
       "most.",
       false, number(&Serve::llama_context, 0, 10'000'000)},
      {"Answering", "llama-slots", "4",
       "Answers that the model makes at once, and conversations that it remembers; titles and "
       "summaries take one of them. With 1 they make it forget the conversation.",
       false, number(&Serve::llama_slots, 1, 256)},
      {"Answering", "llama-queue", "64",
       "Answers that may wait for one of them; more are answered 503.", false,
       number(&Serve::llama_queue, 1, 1'000'000)},
      {"Answering", "llama-threads", "0",
       "Threads that the model computes on; 0 takes all processors but one.", false,
       [](Serve& c, const std::string& v) {
         c.llama_threads = static_cast<int>(parse_number(v, 0, 512));
       }},
      {"Answering", "context-messages", "5",
       "How many of the newest messages that have a text the model is given before the prompt.",
       false, number(&Serve::context_messages, 0, limits::kContextMessagesMax)},
      {"Answering", "context-tokens", "0",
       "Most tokens that the model is given; whole pairs are cut to keep it. 0: no budget. Without "
       "--context-messages it decides alone.",
       false, number(&Serve::context_tokens, 0, limits::kContextTokensMax)},
      {"Answering", "context-summary", "false",
       "Have the model summarize what falls out of the context, in the background.", false,
       boolean(&Serve::context_summary)},
      {"Answering", "titles", "auto",
       "Who gives a conversation that was begun without a title its own: prompt, its beginning; "
       "model, in the background after the first turn; auto: the model where it is openai or "
       "llama, "
       "the prompt where it is demo.",
       false, apply_titles},
      {"Answering", "default-max-tokens", "0",
       "max_tokens of a request that names none. 0: the model's own.", false,
       number(&Serve::max_tokens_default, 0, 10'000'000)},
      {"Answering", "max-content-bytes", "1MiB", "Largest content of a message.", false,
       bytes(&Serve::max_content_bytes, 1024, limits::kPageBytes)},
      {"Answering", "max-turns", "1000", "Answers that may run at once; more are answered 503.",
       false, number(&Serve::max_turns, 1, 1'000'000)},
      {"Answering", "turn-timeout", "10m",
       "How long one answer may take; then what was said is saved.", false,
       duration(&Serve::turn_timeout, 100)},
      {"Answering", "partial-save-interval", "",
       "How often what was said so far is saved while an answer is made, for after a crash; 0s "
       "switches it off. Default: 1s with rocksdb, 0s with dynamodb, where each save writes the "
       "whole text.",
       false, apply_partial_save_interval},

      {"Limiting", "requests-per-minute", "0",
       "Requests of one user a minute; more are answered 429. 0: no limit.", false,
       number(&Serve::requests_per_minute, 0, 1'000'000'000)},
      {"Limiting", "tokens-per-minute", "0",
       "Tokens (prompt and answer) of one user a minute; more are answered 429. 0: no limit.",
       false, number(&Serve::tokens_per_minute, 0, 1'000'000'000)},

      {"Watching", "log-level", "info", "Least level that is logged: debug, info, warning, error.",
       false, apply_log_level},
      {"Watching", "metrics-emf", "false",
       "Write metrics to the log too, for CloudWatch (Embedded Metric Format).", false,
       boolean(&Serve::metrics_emf), true},
      {"Watching", "metrics-emf-interval", "60s", "How often; 1s to 1h.", false,
       apply_metrics_interval},
      {"Watching", "metrics-emf-service", "colloquy",
       "Value of their dimension Service, which tells one deployment from another.", false,
       apply_metrics_service},
  };
  static const std::vector<Setting<ServeConfig>> table = [] {
    auto settings = own;
    auto tables = dynamodb_settings<ServeConfig>();
    tables.push_back(updated_index_setting<ServeConfig>());
    tables.push_back(
        {"Tables", "dynamodb-sweep-interval", "1m",
         "How often to look for deletions that another server has not finished.", false,
         [](Serve& c, const std::string& v) { c.dynamodb_sweep_interval = short_duration(v); }});
    tables.push_back({"Tables", "advertise", "",
                      "URL at which the other servers on the same tables reach this one, such as "
                      "http://10.0.0.7:8080; needs cluster-key-file.",
                      false, apply_advertise});
    tables.push_back({"Tables", "cluster-key-file", "",
                      "File with the key that these servers share: at least 32 bytes; of several "
                      "lines the first signs and all are accepted.",
                      false, text(&Serve::cluster_key_file)});
    tables.push_back({"Tables", "peers", "",
                      "Comma-separated URLs of the other servers, whose events GET /events tells "
                      "too; a host name stands for each of its addresses, and this server may be "
                      "among them. Needs advertise and cluster-key-file.",
                      false, apply_peers});
    auto encrypting = encryption_settings<ServeConfig>();
    encrypting.push_back({"Encrypting", "encrypt-files", "off",
                          "Whether users' files that are written from now on are encrypted too: "
                          "on or off. Other programs cannot read them then.",
                          false, apply_encrypt_files});
    tables.insert(tables.end(), encrypting.begin(), encrypting.end());
    auto after_storing = std::find_if(settings.begin(), settings.end(),
                                      [](const auto& setting) { return setting.group == "Files"; });
    settings.insert(after_storing, tables.begin(), tables.end());
    return settings;
  }();
  return table;
}

const std::vector<Setting<TokenConfig>>& token_settings() {
  static const std::vector<Setting<TokenConfig>> table{
      {"Token", "data", "./data", "Folder of the embedded store and of the token key.", false,
       text(&TokenConfig::data)},
      {"Token", "token-key", "", "Key of HS256 tokens, at least 32 bytes; instead of a file.", true,
       text(&TokenConfig::token_key)},
      {"Token", "token-key-file", "", "File with the key of HS256 tokens; default DATA/token.key.",
       false, text(&TokenConfig::token_key_file)},
      {"Token", "auth-issuer", "", "Issuer that the server expects, where it is not the default.",
       false, text(&TokenConfig::auth_issuer)},
      {"Token", "user", "", "User id that the token stands for.", false, text(&TokenConfig::user)},
      {"Token", "ttl", "24h", "How long the token is good for.", false,
       duration(&TokenConfig::ttl, 1000, 10LL * 365)},
  };
  return table;
}

const std::vector<Setting<KeysConfig>>& keys_settings() {
  static const std::vector<Setting<KeysConfig>> table = [] {
    auto settings = encryption_settings<KeysConfig>();
    for (auto& setting : dynamodb_settings<KeysConfig>()) settings.push_back(std::move(setting));
    for (auto& setting : settings) setting.group = "Keys";
    return settings;
  }();
  return table;
}

const std::vector<Setting<MigrateConfig>>& migrate_settings() {
  static const std::vector<Setting<MigrateConfig>> table = [] {
    std::vector<Setting<MigrateConfig>> settings{
        {"Moving", "from", "",
         "Where the conversations are: `rocksdb:FOLDER` (a data folder), `dynamodb:` or "
         "`dynamodb:CONVERSATIONS,MESSAGES` (names of the tables), or, for the source system's "
         "tables, `source:CONVERSATIONS,MESSAGES`.",
         false, [](MigrateConfig& c, const std::string& v) { apply_place(c.from, v); }},
        {"Moving", "to", "", "Where they are to be: `rocksdb:` or `dynamodb:` as above.", false,
         [](MigrateConfig& c, const std::string& v) { apply_place(c.to, v); }},
        {"Moving", "progress", "colloquy-migrate.progress",
         "File that holds how far it has come, until it is done.", false,
         text(&MigrateConfig::progress)},
    };
    for (auto& setting : dynamodb_settings<MigrateConfig>()) {
      setting.group = "Moving";
      settings.push_back(std::move(setting));
    }
    return settings;
  }();
  return table;
}

}  // namespace colloquy::config
