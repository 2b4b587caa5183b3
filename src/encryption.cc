#include "encryption.h"

#include <filesystem>
#include <utility>

#include "base/error.h"
#include "keyring/aws/kms_master_keys.h"
#include "keyring/dynamodb/table_key_storage.h"
#include "keyring/folder_key_storage.h"
#include "parts.h"
#include "run_to_end.h"
#include "store/dynamodb/aws/region.h"
#include "store/encrypted/store_mark.h"
#include "tables_access.h"
#include "telemetry/log.h"

namespace colloquy {
namespace {

using config::ConfigError;
using config::EncryptionConfig;
using config::EncryptionKind;

std::unique_ptr<keyring::MasterKeys> local_keys(const EncryptionConfig& config,
                                                const config::Sources& sources) {
  std::unique_ptr<keyring::MasterKeys> keys;
  bool from_file = !config.master_key_file.empty();
  for_setting(sources.of(from_file ? "master-key-file" : "master-key"), [&] {
    auto read = [from_file, config] {
      return from_file ? keyring::read_master_keys(config.master_key_file) : config.master_key;
    };
    keys = std::make_unique<keyring::LocalMasterKeys>(std::move(read));
  });
  return keys;
}

std::unique_ptr<keyring::MasterKeys> kms_keys(const EncryptionConfig& config,
                                              const config::Sources& sources,
                                              config::DynamoDbConfig region, net::HttpClient& http,
                                              const Clock& clock,
                                              const boost::asio::any_io_executor& background) {
  std::unique_ptr<keyring::MasterKeys> keys;
  region.endpoint = config.kms_endpoint;
  keyring::KmsOptions options;
  options.key = config.kms_key;
  options.region = find_region(region, clock);
  options.endpoint = config.kms_endpoint;
  if (options.endpoint.empty()) {
    options.endpoint =
        "https://kms." + options.region + "." + std::string(aws::dns_suffix(options.region));
  }
  for_setting(sources.of("kms-endpoint"), [&] {
    keys = std::make_unique<keyring::KmsMasterKeys>(
        std::move(options), http, make_credentials(http, clock, background), clock);
  });
  if (config.master_key_file.empty()) return keys;
  return std::make_unique<keyring::ChainedMasterKeys>(std::move(keys), local_keys(config, sources));
}

// What must be so for the users' keys to be unwrapped.
std::string needed_to_unwrap(const EncryptionConfig& config, const config::Sources& sources) {
  const std::string key = " the master key that has wrapped the users' keys";
  switch (config.kind) {
    case EncryptionKind::kKms:
      return "where KMS did not," + key + " must be in --master-key-file";
    case EncryptionKind::kFile:
      return sources.of("master-key-file") + " \"" + config.master_key_file + "\" must have" + key +
             ", in any of its lines";
    default:
      return "COLLOQUY_MASTER_KEY must have" + key + ", alone or after a comma";
  }
}

template <class T>
T at_start(boost::asio::io_context& loop, Task<T> task) {
  struct Restart {
    boost::asio::io_context& loop;
    ~Restart() { loop.restart(); }
  } restart{loop};
  return run_to_end(loop, std::move(task));
}

}  // namespace

KeysAccess::KeysAccess(const EncryptionConfig& config, const config::Sources& sources,
                       const config::DynamoDbConfig& region, store::dynamodb::Client* tables,
                       const Clock& clock, const boost::asio::any_io_executor& background)
    : needed_(needed_to_unwrap(config, sources)) {
  if (config.kind == EncryptionKind::kKms) {
    http_ = make_http_client();
    masters_ = kms_keys(config, sources, region, *http_, clock, background);
  } else {
    masters_ = local_keys(config, sources);
  }
  if (tables != nullptr) {
    storage_ = std::make_unique<keyring::TableKeyStorage>(config.keys_table, *tables);
    return;
  }
  for_setting(sources.of("keyring") + " \"" + config.keyring + "\"", [&] {
    auto folder = std::make_unique<keyring::FolderKeyStorage>(config.keyring);
    if (folder->is_open_to_all()) {
      telemetry::log_warning("keyring.open",
                             {{"detail", config.keyring + " can be read by everyone"}});
    }
    storage_ = std::move(folder);
  });
}

Encryption::Encryption(KeysAccess& keys, store::Store& store, store::SealedWrites& writes,
                       store::Intake& intake, const Clock& clock, boost::asio::io_context& loop) {
  try {
    keyring_ = at_start(loop, store::open_keyring(store, keys.storage(), keys.masters(), clock));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInvalid) throw ConfigError(error.message());
    if (error.code() != ErrorCode::kInternal) throw;
    throw ConfigError("the keyring cannot be used: " + error.detail() + "; " + keys.needed());
  }
  store_ = std::make_unique<store::EncryptedStore>(store, writes, intake, *keyring_, clock);
  auto master = at_start(loop, keys.masters().current());
  telemetry::log_info("encryption.on", {{"keyring", keyring_->id()}, {"master_key", master}});
}

void require_keys_table(const EncryptionConfig& config, store::dynamodb::Client& client,
                        boost::asio::io_context& loop) {
  keyring::TableKeyStorage storage(config.keys_table, client);
  auto faults = at_start(loop, storage.faults());
  if (faults.empty()) return;
  std::string text = "the table of the keys, " + config.keys_table + ", is not what it must be";
  for (const auto& fault : faults) text += "\n  " + fault;
  throw ConfigError(text);
}

void require_plain(store::Store& store, boost::asio::io_context& loop) {
  auto marks = at_start(loop, store::find_marks(store));
  if (marks.empty()) return;
  throw ConfigError("the store was encrypted with the keyring " + marks.front() +
                    ": it needs --encryption, as before");
}

Task<> MarkWatch::run(std::function<void(const std::string&)> found) {
  running_ = true;
  std::string keyring;
  while (!stopped_ && keyring.empty()) {
    co_await wake_.wait(wake_.ticket(), kMarkLookInterval);
    if (stopped_) break;
    try {
      auto marks = co_await store::find_marks(store_);
      if (!marks.empty()) keyring = std::move(marks.front());
    } catch (const Error&) {
      // What cannot be reached now is looked at again; writes fail as well.
    }
  }
  running_ = false;
  ended_.notify_all();
  if (!keyring.empty() && !stopped_) found(keyring);
}

void MarkWatch::stop() {
  stopped_ = true;
  wake_.notify_all();
}

Task<> MarkWatch::wait_until_ended(std::chrono::milliseconds at_most) {
  if (running_) co_await ended_.wait(ended_.ticket(), at_most);
}

void check_keyring_apart(const config::ServeConfig& config) {
  namespace fs = std::filesystem;
  auto place = [](const std::string& folder) {
    return fs::weakly_canonical(fs::absolute(folder) / "");
  };
  auto within = [](const fs::path& inner, const fs::path& outer) {
    auto relative = inner.lexically_relative(outer);
    return !relative.empty() && *relative.begin() != "..";
  };
  for (const auto& other : {config.data, config.backup_to, config.files}) {
    if (other.empty()) continue;
    if (!within(place(config.encryption.keyring), place(other))) continue;
    throw ConfigError(config.sources.of("keyring") + " \"" + config.encryption.keyring +
                      "\" is within " + other +
                      ": keys that are kept with the data protect nothing");
  }
}

}  // namespace colloquy
