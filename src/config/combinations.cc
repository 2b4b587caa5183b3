#include "config/combinations.h"

#include <algorithm>

#include "config/values.h"

namespace colloquy::config {
namespace {

// A setting that would be ignored is a mistake that nobody would notice.
void refuse_given(const ServeConfig& config, std::string_view setting, const std::string& why) {
  if (config.sources.has(setting)) throw ConfigError(config.sources.of(setting) + " " + why);
}

void refuse_others(const ServeConfig& config, std::string_view prefix, const std::string& why) {
  for (const auto& setting : serve_settings()) {
    if (setting.name.starts_with(prefix)) refuse_given(config, setting.name, why);
  }
}

void check_model(const ServeConfig& config) {
  if (config.model == ModelKind::kOpenAi) {
    if (config.openai_base_url.empty()) {
      throw ConfigError("--model openai needs --openai-base-url, such as http://127.0.0.1:8000/v1");
    }
    if (config.openai_model.empty()) {
      throw ConfigError("--model openai needs --openai-model, the name of the endpoint's model");
    }
    refuse_given(config, "demo-token-delay", "has no effect with --model openai");
  } else {
    refuse_others(config, "openai-", "has no effect without --model openai");
  }
  if (config.model == ModelKind::kLlama) {
    if (config.llama_model.empty()) {
      throw ConfigError("--model llama needs --llama-model, a GGUF file");
    }
    refuse_given(config, "demo-token-delay", "has no effect with --model llama");
  } else {
    refuse_others(config, "llama-", "has no effect without --model llama");
  }
}

void check_keys(const ServeConfig& config) {
  const auto& names = config.auth_algorithms;
  auto is_own = [](const std::string& name) { return name == "HS256"; };
  if (config.sources.has("token-key") && config.sources.has("token-key-file")) {
    throw ConfigError(config.sources.of("token-key") + " and " +
                      config.sources.of("token-key-file") + " exclude each other");
  }
  if (config.jwks.empty()) {
    auto foreign = std::find_if_not(names.begin(), names.end(), is_own);
    if (foreign == names.end()) return;
    throw ConfigError(config.sources.of("auth-algorithms") + ": " + *foreign +
                      " needs --jwks, the key set that its tokens are checked with");
  }
  if (config.auth_issuer.empty()) {
    throw ConfigError(config.sources.of("jwks") +
                      " needs --auth-issuer, the one issuer whose tokens are accepted");
  }
  if (!names.empty() && std::all_of(names.begin(), names.end(), is_own)) {
    throw ConfigError(config.sources.of("jwks") + " has no effect: " +
                      config.sources.of("auth-algorithms") + " lists HS256 only");
  }
  if (std::none_of(names.begin(), names.end(), is_own)) {
    const std::string why = "has no effect with --jwks unless --auth-algorithms lists HS256";
    refuse_given(config, "token-key", why);
    refuse_given(config, "token-key-file", why);
  }
}

void check_watching(const ServeConfig& config) {
  if (!config.metrics_emf)
    refuse_others(config, "metrics-emf-", "has no effect without --metrics-emf");
}

void refuse_files(const ServeConfig& config, const std::string& why) {
  for (const auto& setting : serve_settings()) {
    if (setting.group == "Files" && setting.name != "files") {
      refuse_given(config, setting.name, why);
    }
  }
}

void check_store(const ServeConfig& config) {
  if (config.advertise.empty() != config.cluster_key_file.empty()) {
    throw ConfigError("--advertise and --cluster-key-file go together");
  }
  if (!config.peers.empty() && config.advertise.empty()) {
    throw ConfigError(config.sources.of("peers") + " needs --advertise and --cluster-key-file");
  }
  if (config.store == StoreKind::kDynamoDb) {
    for (const char* setting : {"block-cache", "min-free-disk", "write-queue", "backup-to"}) {
      refuse_given(config, setting, "has no effect with --store dynamodb");
    }
    if (config.files.empty()) {
      refuse_files(config, "has no effect with --store dynamodb without --files");
      refuse_given(config, "encrypt-files", "has no effect with --store dynamodb without --files");
    }
    return;
  }
  for (const auto& setting : serve_settings()) {
    if (setting.group != "Tables") continue;
    bool of_kms =
        setting.name == "dynamodb-region" && config.encryption.kind == EncryptionKind::kKms;
    if (of_kms) continue;
    refuse_given(config, setting.name, "has no effect without --store dynamodb");
  }
}

// The master key that the kind of encryption needs, and no other.
template <class Config>
void check_master_key(const Config& config) {
  const auto& encryption = config.encryption;
  auto needs = [](const char* kind, const char* what) {
    return ConfigError("--encryption " + std::string(kind) + " needs " + what);
  };
  switch (encryption.kind) {
    case EncryptionKind::kFile:
      if (encryption.master_key_file.empty()) throw needs("file", "--master-key-file");
      break;
    case EncryptionKind::kEnv:
      if (encryption.master_key.empty()) throw needs("env", "COLLOQUY_MASTER_KEY");
      break;
    case EncryptionKind::kKms:
      if (encryption.kms_key.empty()) throw needs("kms", "--kms-key");
      break;
    case EncryptionKind::kOff:
      break;
  }
  auto refuse = [&config](std::string_view setting, const char* kind) {
    if (!config.sources.has(setting)) return;
    throw ConfigError(config.sources.of(setting) + " has no effect without --encryption " + kind);
  };
  if (encryption.kind == EncryptionKind::kEnv) refuse("master-key-file", "file");
  if (encryption.kind != EncryptionKind::kEnv) refuse("master-key", "env");
  if (encryption.kind != EncryptionKind::kKms) {
    refuse("kms-key", "kms");
    refuse("kms-endpoint", "kms");
  }
}

void check_encryption(const ServeConfig& config) {
  if (config.encryption.kind == EncryptionKind::kOff) {
    for (const auto& setting : serve_settings()) {
      if (setting.group != "Encrypting" || setting.name == "encryption") continue;
      refuse_given(config, setting.name, "has no effect without --encryption");
    }
    return;
  }
  check_master_key(config);
  if (config.store == StoreKind::kDynamoDb) {
    refuse_given(config, "keyring", "has no effect with --store dynamodb: the keys are in a table");
  } else {
    refuse_given(config, "dynamodb-keys-table", "has no effect without --store dynamodb");
    if (config.encryption.keyring.empty()) {
      throw ConfigError("--encryption needs --keyring, a folder apart from --data");
    }
  }
  if (config.sources.has("search") && config.search) {
    throw ConfigError(config.sources.of("search") +
                      " on cannot be had with --encryption: an index would show the texts");
  }
}

}  // namespace

void check_together(const KeysConfig& config) {
  if (config.encryption.kind == EncryptionKind::kOff) {
    throw ConfigError("--encryption is needed: file, env or kms, as the servers have it");
  }
  check_master_key(config);
  if (config.encryption.keyring.empty()) return;
  for (const auto& setting : keys_settings()) {
    if (!setting.name.starts_with("dynamodb-") || !config.sources.has(setting.name)) continue;
    if (setting.name == "dynamodb-region" && config.encryption.kind == EncryptionKind::kKms) {
      continue;
    }
    throw ConfigError(config.sources.of(setting.name) + " has no effect with --keyring");
  }
}

void check_together(const ServeConfig& config) {
  if (config.data.empty()) throw ConfigError("--data must name a folder");
  if (config.tls_cert.empty() != config.tls_key.empty()) {
    throw ConfigError("--tls-cert and --tls-key go together");
  }
  if (config.listen.port != 0 && config.listen.port == config.admin_listen.port &&
      config.listen.address == config.admin_listen.address) {
    throw ConfigError(config.sources.of("admin-listen") + " is the address of " +
                      config.sources.of("listen") + ": it needs one of its own");
  }
  check_keys(config);
  check_model(config);
  check_store(config);
  check_encryption(config);
  check_watching(config);
  if (config.files == "off") {
    refuse_files(config, "has no effect with --files off");
    refuse_given(config, "encrypt-files", "has no effect with --files off");
  }
  if (!config.backup_to.empty()) return;
  for (const char* setting : {"backup-every", "backup-keep", "backup-log-limit"}) {
    refuse_given(config, setting, "has no effect without --backup-to");
  }
}

void check_together(const RestoreConfig& config) {
  auto refuse = [&config](std::string_view setting, const std::string& why) {
    if (config.sources.has(setting)) throw ConfigError(config.sources.of(setting) + " " + why);
  };
  if (config.store == StoreKind::kRocksDb) {
    if (config.from.empty()) {
      throw ConfigError("--from is needed: the folder that the backup is in");
    }
    // No default: nobody restores into a folder that they did not name.
    if (config.data.empty()) throw ConfigError("--data is needed: the new data folder");
    for (const auto& setting : restore_settings()) {
      if (setting.group == "Restore tables") {
        refuse(setting.name, "has no effect without --store dynamodb");
      }
    }
    return;
  }
  for (const char* setting : {"from", "lineage", "allow-partial"}) {
    refuse(setting, "has no effect with --store dynamodb");
  }
  // In the environment it may be there for the servers.
  if (config.sources.has("data") && config.sources.of("data").starts_with("--")) {
    refuse("data", "has no effect with --store dynamodb");
  }
  if (config.at.empty()) throw ConfigError("--at is needed: the second to restore");
  if (config.prefix.empty() && config.suffix.empty()) {
    throw ConfigError("--suffix or --prefix is needed: what the new tables' names have more");
  }
  for (const auto& table : {config.dynamodb.conversations_table, config.dynamodb.messages_table}) {
    auto name = config.prefix + table + config.suffix;
    try {
      check_table_name(name);
    } catch (const ConfigError& error) {
      throw ConfigError("the new table's name \"" + name + "\" " + error.what());
    }
  }
}

void check_together(MigrateConfig& config) {
  using Kind = MigratePlace::Kind;
  if (!config.from) throw ConfigError("--from is needed: where the conversations are");
  if (!config.to) throw ConfigError("--to is needed: where the conversations are to be");
  if (config.to->kind == Kind::kSource) {
    throw ConfigError(config.sources.of("to") +
                      " cannot be source: nothing is moved into the source system's tables");
  }
  if (config.progress.empty()) throw ConfigError("--progress must name a file");
  bool tables = false;
  for (auto* place : {&*config.from, &*config.to}) {
    if (place->kind == Kind::kRocksDb) continue;
    tables = true;
    if (!place->conversations_table.empty()) continue;
    place->conversations_table = config.dynamodb.conversations_table;
    place->messages_table = config.dynamodb.messages_table;
  }
  bool both_embedded = config.from->kind == Kind::kRocksDb && config.to->kind == Kind::kRocksDb;
  bool same = both_embedded ? config.from->folder == config.to->folder
                            : config.from->conversations_table == config.to->conversations_table ||
                                  config.from->messages_table == config.to->messages_table;
  if (same) {
    throw ConfigError(config.sources.of("from") + " and " + config.sources.of("to") +
                      " are the same store");
  }
  for (const auto& setting : migrate_settings()) {
    if (tables || !setting.name.starts_with("dynamodb-") || !config.sources.has(setting.name)) {
      continue;
    }
    throw ConfigError(config.sources.of(setting.name) +
                      " has no effect between two embedded stores");
  }
}

void check_together(const CostConfig& config) {
  if (config.conversations.value_or(0) > config.messages / 2) {
    throw ConfigError(config.sources.of("conversations") + " is at most half of " +
                      config.sources.of("messages") +
                      ": a conversation begins with a turn, which is two messages");
  }
  if (!config.provisioned && config.sources.has("utilization")) {
    throw ConfigError(config.sources.of("utilization") +
                      " has no effect without --mode provisioned");
  }
}

}  // namespace colloquy::config
