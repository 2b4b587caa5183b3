// The settings of encryption, of every command that has them.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"
#include "config/values.h"

namespace colloquy::config {

inline void apply_encryption(EncryptionConfig& config, const std::string& value) {
  if (value == "off") {
    config.kind = EncryptionKind::kOff;
  } else if (value == "file") {
    config.kind = EncryptionKind::kFile;
  } else if (value == "env") {
    config.kind = EncryptionKind::kEnv;
  } else if (value == "kms") {
    config.kind = EncryptionKind::kKms;
  } else {
    throw ConfigError("must be off, file, env or kms");
  }
}

inline void apply_kms_endpoint(EncryptionConfig& config, const std::string& value) {
  if (!value.empty()) check_endpoint(value);
  config.kms_endpoint = value;
}

// Of the server and of the command that looks after its keys.
template <class Config>
std::vector<Setting<Config>> encryption_settings() {
  auto text_of = [](std::string EncryptionConfig::*field) {
    return [field](Config& c, const std::string& v) { c.encryption.*field = v; };
  };
  return {
      {"Encrypting", "encryption", "off",
       "Where the master key is that what users write is encrypted with: file, env "
       "(COLLOQUY_MASTER_KEY), kms (AWS KMS), or off. Search is then off.",
       false, [](Config& c, const std::string& v) { apply_encryption(c.encryption, v); }},
      {"Encrypting", "master-key-file", "",
       "File with the master key, as `colloquy keys create` prints it; of several lines the first "
       "wraps and all unwrap. With kms: those from before.",
       false, text_of(&EncryptionConfig::master_key_file)},
      {"Encrypting", "master-key", "",
       "The master key itself, or several with commas between them, for env.", true,
       text_of(&EncryptionConfig::master_key)},
      {"Encrypting", "kms-key", "", "Id, ARN or alias of the master key, for kms.", false,
       text_of(&EncryptionConfig::kms_key)},
      {"Encrypting", "kms-endpoint", "", "URL of another service than Amazon's own KMS.", false,
       [](Config& c, const std::string& v) { apply_kms_endpoint(c.encryption, v); }},
      {"Encrypting", "keyring", "",
       "Folder of the users' wrapped keys, apart from the data and its backups; needed with "
       "rocksdb.",
       false, text_of(&EncryptionConfig::keyring)},
      {"Encrypting", "dynamodb-keys-table", "keys",
       "Name of the table of the users' wrapped keys, with dynamodb.", false,
       [](Config& c, const std::string& v) {
         check_table_name(v);
         c.encryption.keys_table = v;
       }},
  };
}

}  // namespace colloquy::config
