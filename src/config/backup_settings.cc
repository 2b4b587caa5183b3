// The settings of backing up, restoring and verifying.
#include <algorithm>

#include "config/setting_makers.h"

namespace colloquy::config {
namespace {

void apply_restored_retention(RestoreConfig& config, const std::string& value) {
  if (value.empty()) return;
  auto retention = parse_duration(value);
  if (retention.count() % 1000 != 0) throw ConfigError("must be whole seconds");
  if (retention.count() / 1000 > limits::kTtlSecondsMax) throw ConfigError("is too long");
  config.retention = retention;
}

// A variable of a shell that is not set must not be taken for the last moment.
void apply_moment(RestoreConfig& config, const std::string& value) {
  if (value.empty()) throw ConfigError("is no moment; last is the last that there is");
  config.at = value == "last" ? "" : value;
}

}  // namespace

const std::vector<Setting<BackupConfig>>& backup_settings() {
  static const std::vector<Setting<BackupConfig>> table{
      {"Backup", "data", "./data", "The data folder whose embedded store is backed up.", false,
       text(&BackupConfig::data)},
      {"Backup", "to", "", "Folder that the backup is in, or is to be in.", false,
       text(&BackupConfig::to)},
      {"Backup", "backup-keep", "35d",
       "How far back it reaches; where a server makes it, that server's own setting holds.", false,
       duration(&BackupConfig::keep, 1000)},
  };
  return table;
}

const std::vector<Setting<RestoreConfig>>& restore_settings() {
  static const std::vector<Setting<RestoreConfig>> own{
      {"Restore", "store", "rocksdb",
       "rocksdb: a data folder from a backup; dynamodb: new tables from the service's own "
       "point-in-time recovery.",
       false, [](RestoreConfig& c, const std::string& v) { c.store = parse_store(v); }},
      {"Restore", "from", "", "Folder that the backup is in.", false, text(&RestoreConfig::from)},
      {"Restore", "at", "last",
       "The moment to restore, such as 2026-11-22T10:15:00Z; last: the last that there is.", false,
       apply_moment},
      {"Restore", "data", "", "The new data folder: not there, or empty.", false,
       text(&RestoreConfig::data)},
      {"Restore", "lineage", "", "Which database, where the backup is of more than one.", false,
       text(&RestoreConfig::lineage)},
      {"Restore", "erased", "",
       "File with more users who were erased, as GET /erased of an admin listener gives it; those "
       "that the backup itself lists are always left out.",
       false, text(&RestoreConfig::erased)},
      {"Restore", "keep-expired", "false",
       "Keep conversations that were there at that moment and have expired since, for good.", false,
       [](RestoreConfig& c, const std::string& v) { c.keep_expired = parse_boolean(v); }, true},
      {"Restore", "retention", "",
       "The servers' own --retention, for --keep-expired; 0s: they have none. Default: what the "
       "restored store says of it.",
       false, apply_restored_retention},
      {"Restore", "allow-partial", "false",
       "End with status 0 even where damage leaves the store older than was asked for.", false,
       [](RestoreConfig& c, const std::string& v) { c.allow_partial = parse_boolean(v); }, true},
  };
  static const std::vector<Setting<RestoreConfig>> table = [] {
    auto settings = own;
    settings.push_back({"Restore tables", "suffix", "",
                        "What the new tables' names have behind those of the old.", false,
                        text(&RestoreConfig::suffix)});
    settings.push_back({"Restore tables", "prefix", "", "The same, before them.", false,
                        text(&RestoreConfig::prefix)});
    settings.push_back({"Restore tables", "wait", "24h",
                        "How long to wait for the service; the same command goes on waiting.",
                        false, duration(&RestoreConfig::wait, 1000)});
    for (auto& setting : dynamodb_settings<RestoreConfig>()) {
      setting.group = "Restore tables";
      settings.push_back(std::move(setting));
    }
    return settings;
  }();
  return table;
}

const std::vector<Setting<VerifyConfig>>& verify_settings() {
  static const std::vector<Setting<VerifyConfig>> table{
      {"Verify", "from", "", "Folder that the backup is in.", false, text(&VerifyConfig::from)},
      {"Verify", "lineage", "", "Which database, where the backup is of more than one; empty: all.",
       false, text(&VerifyConfig::lineage)},
      {"Verify", "scratch", "",
       "Folder to restore the last moment into as well, and to remove again; needs as much room as "
       "the store.",
       false, text(&VerifyConfig::scratch)},
  };
  return table;
}

}  // namespace colloquy::config
